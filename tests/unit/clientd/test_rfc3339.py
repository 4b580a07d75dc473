# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from acmed.clientd.ca.rfc3339 import microseconds

MOMENT = 1795248000_000000  # 2026-11-21 08:00 UTC, date(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T08:00:00Z", MOMENT),
        ("2026-11-21t08:00:00z", MOMENT),
        ("2026-11-21 08:00:00Z", MOMENT),
        ("2026-11-21T08:00:00+00:00", MOMENT),
        ("2026-11-21T08:00:00-00:00", MOMENT),
        ("2026-11-21T09:30:00+01:30", MOMENT),
        ("2026-11-20T20:15:00-11:45", MOMENT),
        ("2026-11-21T08:00:00.5Z", MOMENT + 500_000),
        ("2026-11-21T08:00:00.123456789Z", MOMENT + 123_456),
        ("2026-11-21T08:00:00.0000009Z", MOMENT),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("2016-12-31T23:59:60Z", 1483228800_000000),
    ],
)
def test_timestamps(text: str, expected: int) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "None",
        "2026-11-21",
        "2026-11-21T08:00:00",
        "2026-11-21T08:00Z",
        "2026-11-21T08:00:00.Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T08:60:00Z",
        "2026-11-21T08:00:61Z",
        "2026-11-21T08:00:00+24:00",
        "2026-11-21T08:00:00+0100",
        "2026-13-21T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-21T08:00:00Z\n",
        "٢٠٢٦-11-21T08:00:00Z",
        "2026-11-21T08:00:00." + "1" * 10_000 + "Z",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the text differs
        microseconds(text)


@pytest.mark.parametrize(("text", "year"), [("0001-01-01T00:00:00+23:59", 0), ("9999-12-31T23:59:60-23:59", 10000)])
def test_the_edges_of_the_calendar(text: str, year: int) -> None:
    assert microseconds(text) // (365_2425 * 86400 * 100) == year - 1970
