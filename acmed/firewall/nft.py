# SPDX-License-Identifier: LGPL-2.1-or-later
"""nftables, and with it iptables-nft and what is built on that, such as ufw. Needs CAP_NET_ADMIN and nft(8)."""

import json
from typing import Any

from acmed import journal
from acmed.firewall import FirewallError, comment
from acmed.firewall.chains import may_drop
from acmed.firewall.command import run
from acmed.firewall.nft_rules import Table, read

# Others may change the ruleset between our look at it and our change, which then fails as a whole.
_ATTEMPTS = 3


def open_port(port: int) -> None:
    """Inserts an accept for the port at the head of each base chain that may drop it. What an earlier call left is
    replaced. Raises FirewallError where one could not be changed; the others are, all the same.
    """
    for _ in range(_ATTEMPTS):
        problems = [problem for table in _tables(port) if (problem := _open(table, port))]
        if not problems:
            return
    raise FirewallError("; ".join(problems))


def close_port(port: int) -> None:
    """Deletes each rule with our comment for the port. Raises FirewallError where one is still there."""
    problems: list[str] = []
    for _ in range(_ATTEMPTS):
        tables = [table for table in _tables(port) if table.ours]
        if not tables:
            return
        problems = [problem for table in tables if (problem := _change(table, _deletions(table)))]
    if problems:
        raise FirewallError("; ".join(problems))


def _tables(port: int) -> list[Table]:
    # Terse: the elements of a named set may be many, and say nothing here.
    printed = run("nft", "--terse", "--json", "--handle", "list", "ruleset")
    try:
        return read(json.loads(printed)["nftables"], port, comment(port))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FirewallError(f"nft prints a ruleset that cannot be understood: {type(error).__name__} {error}") from None


def _open(table: Table, port: int) -> str:
    """What went wrong, or nothing."""
    closed = [base for base in table.bases if may_drop(table.chains, base)]
    if closed and table.locked:
        journal.debug("The nftables table %s belongs to another program, or is dormant", table)
        return ""
    problem = _change(table, _deletions(table) + [_insertion(table, base, port) for base in closed])
    if closed and not problem:
        journal.info("Opened TCP port %d in the nftables table %s: %s", port, table, ", ".join(closed), port=port)
    return problem


def _insertion(table: Table, chain: str, port: int) -> dict[str, Any]:
    match = {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}
    rule = {
        "family": table.family,
        "table": table.name,
        "chain": chain,
        "comment": comment(port),
        "expr": [{"match": match}, {"accept": None}],
    }
    return {"insert": {"rule": rule}}


def _deletions(table: Table) -> list[dict[str, Any]]:
    return [
        {"delete": {"rule": {"family": table.family, "table": table.name, "chain": chain, "handle": handle}}}
        for chain, handle in table.ours
    ]


def _change(table: Table, commands: list[dict[str, Any]]) -> str:
    """Carries out all of the commands or none. The answer is what went wrong, or nothing."""
    if not commands:
        return ""
    try:
        run("nft", "--json", json.dumps({"nftables": commands}))
    except FirewallError as error:
        return f"table {table}: {error}"
    return ""
