# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which way a packet takes, whatever the tool."""

import pytest

from acmed.firewall.chains import Applies, Chain, Step, Verdict, may_drop

NEVER, SOMETIMES, ALWAYS = Applies


def step(verdict: str, applies: Applies = ALWAYS, target: str = "") -> Step:
    return Step(applies, Verdict[verdict], target)


@pytest.mark.parametrize(
    ("steps", "with_policy_accept", "with_policy_drop"),
    [
        ([], False, True),
        ([step("ACCEPT")], False, False),
        ([step("DROP")], True, True),
        ([step("ACCEPT"), step("DROP")], False, False),
        ([step("DROP"), step("ACCEPT")], True, True),
        ([step("ACCEPT", SOMETIMES)], False, True),
        ([step("ACCEPT", SOMETIMES), step("DROP")], True, True),
        ([step("DROP", SOMETIMES), step("ACCEPT")], True, True),
        ([step("RETURN"), step("ACCEPT")], False, True),
        ([step("RETURN", SOMETIMES), step("ACCEPT")], False, True),
        ([step("RETURN"), step("DROP")], False, True),
        ([step("JUMP", target="drops"), step("ACCEPT")], True, True),
        ([step("JUMP", SOMETIMES, "drops"), step("ACCEPT")], True, True),
        ([step("JUMP", target="accepts"), step("DROP")], False, False),
        ([step("JUMP", SOMETIMES, "accepts"), step("DROP")], True, True),
        ([step("JUMP", SOMETIMES, "accepts")], False, True),
        ([step("JUMP", target="empty"), step("ACCEPT")], False, False),
        ([step("JUMP", target="returns"), step("ACCEPT")], False, False),
        ([step("GOTO", target="empty"), step("ACCEPT")], False, True),
        ([step("GOTO", SOMETIMES, "empty"), step("ACCEPT")], False, True),
        ([step("GOTO", target="accepts"), step("DROP")], False, False),
        ([step("JUMP", target="deep"), step("ACCEPT")], True, True),
        ([step("JUMP", target="loop"), step("ACCEPT")], False, False),
        ([step("JUMP", target="missing"), step("ACCEPT")], False, False),
    ],
)
def test_may_drop(steps: list[Step], with_policy_accept: bool, with_policy_drop: bool) -> None:
    chains = {
        "drops": Chain(steps=[step("DROP", SOMETIMES)]),
        "accepts": Chain(steps=[step("ACCEPT")]),
        "empty": Chain(),
        "returns": Chain(steps=[step("RETURN", SOMETIMES), step("RETURN")]),
        "deep": Chain(steps=[step("JUMP", SOMETIMES, "returns"), step("JUMP", SOMETIMES, "drops")]),
        "loop": Chain(steps=[step("JUMP", target="base"), step("JUMP", target="loop")]),
    }
    for policy_drops, expected in ((False, with_policy_accept), (True, with_policy_drop)):
        assert may_drop({"base": Chain(policy_drops, steps), **chains}, "base") is expected


def test_negation() -> None:
    assert [applies.negated() for applies in Applies] == [ALWAYS, SOMETIMES, NEVER]
