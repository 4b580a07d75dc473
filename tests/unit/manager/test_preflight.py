# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which findings count for an order."""

import pytest

from acmed.config import Account
from acmed.config.model import ChallengeType
from acmed.manager.challenges import Challenge
from acmed.manager.ways.preflight import Finding, _clock, relevant
from acmed.names import Identifier

_A, _B, _C = (Identifier("dns", f"{letter}.example.com") for letter in "abc")
_EXPECTED = {_A: ChallengeType.HTTP_01, _B: ChallengeType.DNS_01, _C: ChallengeType.HTTP_01}


def _finding(check: str, subject: str) -> Finding:
    return Finding(check, subject, "error", f"{check} of {subject}")


_FOUND = [
    _finding("clock", "default"),
    _finding("resolve", "a.example.com"),
    _finding("update", "b.example.com"),
    _finding("resolve", "c.example.com"),
]


@pytest.mark.parametrize(
    ("pending", "counts"),
    [
        ({_A: ChallengeType.HTTP_01}, ["clock of default", "resolve of a.example.com"]),
        ({_B: ChallengeType.DNS_01}, ["clock of default", "update of b.example.com"]),
        # Not what was expected, and so not what was looked at.
        ({_A: ChallengeType.TLS_ALPN_01}, ["clock of default"]),
        (
            {_A: ChallengeType.HTTP_01, _B: ChallengeType.DNS_01},
            ["clock of default", "resolve of a.example.com", "update of b.example.com"],
        ),
    ],
)
def test_only_what_is_to_be_validated_counts(pending: dict[Identifier, ChallengeType], counts: list[str]) -> None:
    challenges = [Challenge(identifier, kind, "https://ca.example/1") for identifier, kind in pending.items()]
    assert [finding.message for finding in relevant(_FOUND, challenges, _EXPECTED)] == counts


@pytest.mark.parametrize(
    ("offset", "severity", "words"),
    [
        (0, "ok", "0 s"),
        (60, "ok", "differ by 60 s"),
        (-61, "warning", "61 s ahead of"),
        (300, "warning", "300 s behind"),
        (301, "error", "301 s behind"),
        (-90000, "error", "90000 s ahead of"),
    ],
)
def test_clock(offset: int, severity: str, words: str) -> None:
    finding = _clock(Account("default", "https://ca.example/directory"), offset)
    assert (finding.check, finding.severity) == ("clock", severity)
    assert words in finding.message
