# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a chain may drop a new TCP connection to a port, whatever tool its rules are from.

In doubt it may: an opening too many lets packets pass to a port that is ours, one too few costs the certificate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto


class Applies(IntEnum):
    """Whether a rule matches new TCP connections to the port. Of several conditions the least holds."""

    NEVER = 0
    SOMETIMES = 1
    ALWAYS = 2

    def negated(self) -> "Applies":
        return Applies(2 - self)


class Verdict(Enum):
    """What a rule does with a packet that it matches."""

    ACCEPT = auto()
    DROP = auto()
    JUMP = auto()
    GOTO = auto()
    RETURN = auto()


@dataclass(frozen=True)
class Step:
    """A rule that may end a packet's way through the chain. target is the chain of JUMP and GOTO."""

    applies: Applies
    verdict: Verdict
    target: str = ""


@dataclass
class Chain:
    """Steps in their order. policy_drops is for base chains."""

    policy_drops: bool = False
    steps: list[Step] = field(default_factory=list)


class _Outcome(Enum):
    DROPS = auto()  # perhaps
    ACCEPTS = auto()  # surely
    CONTINUES = auto()  # in the chain above, or with the policy


def may_drop(chains: Mapping[str, Chain], base: str) -> bool:
    """Whether a new connection may be dropped on its way from the base chain on."""
    outcome = _walk(chains, base, frozenset())
    return outcome is _Outcome.DROPS or (outcome is _Outcome.CONTINUES and chains[base].policy_drops)


def _walk(chains: Mapping[str, Chain], name: str, above: frozenset[str]) -> _Outcome:
    if name not in chains or name in above:
        return _Outcome.CONTINUES
    surely_here = True  # no rule before this one may have left the chain
    for step in chains[name].steps:
        outcome = _outcome(chains, step, above | {name})
        if outcome is _Outcome.DROPS:
            return outcome
        if outcome is _Outcome.CONTINUES and step.verdict is Verdict.JUMP:
            continue
        if surely_here and step.applies is Applies.ALWAYS:
            return outcome
        if outcome is _Outcome.CONTINUES:
            surely_here = False
    return _Outcome.CONTINUES


def _outcome(chains: Mapping[str, Chain], step: Step, above: frozenset[str]) -> _Outcome:
    """What becomes of a packet that the step matches."""
    match step.verdict:
        case Verdict.ACCEPT:
            return _Outcome.ACCEPTS
        case Verdict.DROP:
            return _Outcome.DROPS
        case Verdict.RETURN:
            return _Outcome.CONTINUES
        case _:
            return _walk(chains, step.target, above)
