# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads what `iptables -S` prints, as far as it is about new TCP connections."""

import shlex

from acmed.firewall.chains import Applies, Chain, Step, Verdict

_VERDICTS = {
    "ACCEPT": Verdict.ACCEPT,
    "DROP": Verdict.DROP,
    "REJECT": Verdict.DROP,
    "TARPIT": Verdict.DROP,
    "RETURN": Verdict.RETURN,
}
_NO_CONDITION = ("-m", "--comment")


def read(listing: str, port: int) -> dict[str, Chain]:
    """The chains of a table, built-in and own."""
    lines = [shlex.split(line) for line in listing.splitlines()]
    chains = {line[1]: Chain(policy_drops=line[2:3] == ["DROP"]) for line in lines if line[0] in ("-P", "-N")}
    for line in lines:
        if line[0] == "-A" and (step := _step(line[2:], chains, port)):
            chains[line[1]].steps.append(step)
    return chains


def _step(words: list[str], chains: dict[str, Chain], port: int) -> Step | None:
    """What a rule may do with a new connection to the port; None if it does not match, or lets it go on."""
    applies, negated = Applies.ALWAYS, False
    for index, word in enumerate(words):
        value = words[index + 1] if index + 1 < len(words) else ""
        if word in ("-j", "-g"):  # what follows are options of the target
            if value in chains:
                return Step(applies, Verdict.JUMP if word == "-j" else Verdict.GOTO, value)
            return Step(applies, _VERDICTS[value]) if value in _VERDICTS else None
        if word == "!":
            negated = True
        elif word.startswith("-"):
            holds = _condition(word, value, port)
            applies = min(applies, holds.negated() if negated else holds)
            negated = False
        if applies is Applies.NEVER:
            return None
    return None


def _condition(option: str, value: str, port: int) -> Applies:
    """Whether a condition holds for the first packet of a connection."""
    match option:
        case "-p":
            holds = value == "tcp"
        case "--dport" | "--dports":
            holds = any(_in_range(port, part) for part in value.split(","))
        case "--ctstate" | "--state":
            holds = "NEW" in value.split(",")
        case _ if option in _NO_CONDITION:
            holds = True
        case _:
            return Applies.SOMETIMES
    return Applies.ALWAYS if holds else Applies.NEVER


def _in_range(port: int, text: str) -> bool:
    """Whether the port is N or in N:M."""
    first, _, last = text.partition(":")
    return int(first) <= port <= int(last or first)
