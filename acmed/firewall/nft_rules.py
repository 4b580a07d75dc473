# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads what `nft -j -a list ruleset` prints (libnftables-json(5)), as far as it is about new TCP connections."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from acmed.firewall.chains import Applies, Chain, Step, Verdict

_FAMILIES = ("inet", "ip", "ip6")
_VERDICTS = {
    "accept": Verdict.ACCEPT,
    "drop": Verdict.DROP,
    "reject": Verdict.DROP,
    "jump": Verdict.JUMP,
    "goto": Verdict.GOTO,
    "return": Verdict.RETURN,
}
_NO_CONDITION = ("counter", "log", "mangle", "notrack")
_TRANSPORTS = ("udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "ah", "esp", "comp")
# Targets of iptables-nft after which the packet goes on; any other one may be REJECT's kind.
_XT_CONTINUES = ("LOG", "NFLOG", "MARK", "CONNMARK", "SET", "AUDIT", "TCPMSS")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass
class Table:
    """A table of family inet, ip or ip6. bases are its chains of type filter at hook input.

    ours are the chain and handle of each rule with our comment; chains has no step for these. locked: the table
    belongs to another program, which alone may change it, or is dormant.
    """

    family: str
    name: str
    locked: bool
    bases: list[str] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    ours: list[tuple[str, int]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.family} {self.name}"


def read(objects: list[dict[str, Any]], port: int, comment: str) -> list[Table]:
    """The tables of a ruleset: the array in the member "nftables"."""
    found: dict[tuple[str, str], Table] = {}
    for kind, detail in (item for entry in objects for item in entry.items()):
        if detail.get("family") not in _FAMILIES:
            continue
        if kind == "table":
            # 1.0.6 prints rubbish for any flag, so it is the presence that counts.
            found[detail["family"], detail["name"]] = Table(detail["family"], detail["name"], "flags" in detail)
        elif kind == "chain":
            _add_chain(found[detail["family"], detail["table"]], detail)
        elif kind == "rule":
            table = found[detail["family"], detail["table"]]
            if detail.get("comment") == comment:
                table.ours.append((detail["chain"], detail["handle"]))
            else:
                table.chains[detail["chain"]].steps += _rule(detail["expr"], port)
    return list(found.values())


def _add_chain(table: Table, detail: dict[str, Any]) -> None:
    table.chains[detail["name"]] = Chain(policy_drops=detail.get("policy") == "drop")
    if detail.get("hook") == "input" and detail.get("type") == "filter":
        table.bases.append(detail["name"])


def _rule(statements: Any, port: int) -> list[Step]:
    """As _steps(); a rule that we do not understand, of a newer nft perhaps, may drop."""
    try:
        return _steps(statements, port)
    except (AttributeError, KeyError, TypeError, ValueError):
        return [Step(Applies.SOMETIMES, Verdict.DROP)]


def _steps(statements: list[dict[str, Any]], port: int) -> list[Step]:
    """What a rule may do with a new connection to the port; nothing if it does not match, or lets it go on."""
    applies = Applies.ALWAYS
    for statement in statements:
        kind: str
        detail: Any
        (kind, detail), *_ = statement.items()
        if kind in _VERDICTS:
            return [Step(applies, _VERDICTS[kind], detail["target"] if kind in ("jump", "goto") else "")]
        if kind == "vmap":
            return _vmap(detail, applies, port)
        if kind == "xt" and detail and detail.get("type") == "target":
            return [] if detail.get("name") in _XT_CONTINUES else [Step(Applies.SOMETIMES, Verdict.DROP)]
        if kind == "match":
            applies = min(applies, _match(detail["op"], detail["left"], detail["right"], port))
        elif kind not in _NO_CONDITION:
            applies = min(applies, Applies.SOMETIMES)
        if applies is Applies.NEVER:
            return []
    return []


def _vmap(detail: dict[str, Any], applies: Applies, port: int) -> list[Step]:
    """A verdict map. What is in a named one is not looked at: it may change at any time."""
    data = detail["data"]
    if not isinstance(data, dict) or "set" not in data:
        return [Step(Applies.SOMETIMES, Verdict.DROP)]
    steps: list[Step] = []
    for key, verdict in data["set"]:
        holds = min(applies, _match("==", detail["key"], key, port))
        if holds is not Applies.NEVER:
            steps += (Step(holds, step.verdict, step.target) for step in _steps([verdict], port))
    return steps


def _match(op: str, left: Any, right: Any, port: int) -> Applies:
    """Whether a condition holds for the first packet of a connection."""
    value = _value(left, port)
    if value is Applies.NEVER:
        return Applies.NEVER
    if op in _COMPARISONS and isinstance(value, int) and isinstance(right, int):
        return Applies.ALWAYS if _COMPARISONS[op](value, right) else Applies.NEVER
    if value is None or op not in ("==", "!=", "in"):
        return Applies.SOMETIMES
    holds = _holds(value, right)
    return holds.negated() if op == "!=" else holds


def _value(left: Any, port: int) -> int | str | Applies | None:
    """What the packet has in a field: the port, a word, NEVER where it has no such field, None where that varies."""
    if not isinstance(left, dict):
        return None
    if payload := left.get("payload"):
        protocol, name = payload.get("protocol"), payload.get("field")
        if protocol in _TRANSPORTS:
            return Applies.NEVER
        return port if protocol in ("tcp", "th") and name == "dport" else None
    if left.get("meta") == {"key": "l4proto"}:
        return "tcp"
    if left.get("ct") == {"key": "state"}:
        return "new"
    return None


def _holds(value: int | str, right: Any) -> Applies:
    """Whether a value is the right side of a condition, or in it: a scalar, a list, a set or a range."""
    match right:
        case {"set": elements}:
            return _holds(value, elements)
        case {"range": [int(first), int(last)]} if isinstance(value, int):
            return Applies.ALWAYS if first <= value <= last else Applies.NEVER
        case list():
            return max((_holds(value, element) for element in right), default=Applies.NEVER)
        case str() if right.startswith("@"):
            return Applies.SOMETIMES
        case str() | int():
            return Applies.ALWAYS if right == value else Applies.NEVER
        case _:
            return Applies.SOMETIMES
