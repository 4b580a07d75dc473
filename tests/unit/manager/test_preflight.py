# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which findings count for an order."""

import pytest

from acmed.config.model import ChallengeType
from acmed.manager.challenges import Challenge
from acmed.manager.ways import skew
from acmed.manager.ways.preflight import Finding, relevant
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


_HOUR, _DAY = 3600, 86400


@pytest.mark.parametrize(
    ("offset", "lifetime", "severity", "words"),
    [
        (0, None, "ok", "0 s"),
        (60, None, "ok", "differ by 60 s"),
        (-61, None, "warning", "61 s ahead of that of the CA; see 'timedatectl'"),
        (301, None, "warning", "301 s behind that of the CA; see 'timedatectl'"),
        (_HOUR, 90 * _DAY, "warning", "3600 s behind"),
        (_HOUR + 1, 90 * _DAY, "error", "3601 s behind that of the CA: what is issued would not be valid here yet"),
        (-_DAY, None, "warning", "86400 s ahead of"),
        (-_DAY - 1, None, "error", "86401 s ahead of that of the CA: certificates would be renewed far too early"),
        (-_DAY, 90 * _DAY, "warning", "86400 s ahead of"),
        (-_DAY - 1, 90 * _DAY, "error", "86401 s ahead of"),
        # What lives for a day is due after half of that.
        (-6 * _HOUR, _DAY, "warning", "21600 s ahead of"),
        (-6 * _HOUR - 1, _DAY, "error", "21601 s ahead of"),
    ],
)
def test_clock(offset: int, lifetime: int | None, severity: str, words: str) -> None:
    judged, message = skew.judged(offset, lifetime)
    assert judged == severity
    assert words in message
    assert (": " in message) == (judged == "error")
