# SPDX-License-Identifier: LGPL-2.1-or-later
"""The legacy tables of iptables and ip6tables, which nft(8) does not see. Needs root, CAP_NET_ADMIN and CAP_NET_RAW.

One rule is inserted and deleted again by what it says; tables are never saved and restored, as that would undo what
others change meanwhile. A command that finds no table would make one, so only those that are there are touched.
"""

from pathlib import Path

from acmed import journal
from acmed.firewall import FirewallError, comment
from acmed.firewall.chains import may_drop
from acmed.firewall.command import attempt, run
from acmed.firewall.iptables_rules import read

_NAMES = {"iptables-legacy": "ip_tables_names", "ip6tables-legacy": "ip6_tables_names"}
_WAIT = ("-w", "10")  # seconds, for the lock
_NOT_FOUND = 1  # exit status of -C


def open_port(port: int) -> None:
    """Inserts an accept for the port at the head of INPUT where that may drop it. What an earlier call left is
    replaced. Raises FirewallError where it could not be inserted; the other family is done all the same.
    """
    close_port(port)
    problems = [problem for tool in _tools() if (problem := _open(tool, port))]
    if problems:
        raise FirewallError("; ".join(problems))


def close_port(port: int) -> None:
    """Deletes our rules for the port. Raises FirewallError where one is still there."""
    for tool in _tools():
        while _exists(tool, port):
            run(tool, *_WAIT, "-D", "INPUT", *_rule(port))
            journal.debug("Deleted a rule for TCP port %d by %s", port, tool)


def _tools() -> list[str]:
    """The commands of those families that have a filter table."""
    return [tool for tool, names in _NAMES.items() if "filter" in _table_names(Path("/proc/self/net") / names)]


def _table_names(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return []


def _open(tool: str, port: int) -> str:
    """What went wrong, or nothing."""
    try:
        if may_drop(read(run(tool, *_WAIT, "-S"), port), "INPUT"):
            run(tool, *_WAIT, "-I", "INPUT", "1", *_rule(port))
            journal.info("Opened TCP port %d in the legacy filter table, by %s", port, tool, port=port)
    except FirewallError as error:
        return str(error)
    return ""


def _exists(tool: str, port: int) -> bool:
    result = attempt(tool, *_WAIT, "-C", "INPUT", *_rule(port))
    if result.returncode not in (0, _NOT_FOUND):
        raise FirewallError(f"{tool}: {' '.join(result.stderr.split())}")
    return result.returncode == 0


def _rule(port: int) -> tuple[str, ...]:
    return ("-p", "tcp", "--dport", str(port), "-m", "comment", "--comment", comment(port), "-j", "ACCEPT")
