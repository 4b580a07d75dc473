# SPDX-License-Identifier: LGPL-2.1-or-later
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from acmed.clientd.ca.retryafter import seconds

DATE = "Sat, 21 Nov 2026 08:00:00 GMT"


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("3", 3),
        (" 120 ", 120),
        ("122400", 122400),  # Let's Encrypt gives one more certificate for the same names every 34 hours
        ("2592001", 2592000),
        ("99999999999999999999999999", 2592000),
        ("Sat, 21 Nov 2026 08:01:00 GMT", 60),
        ("Saturday, 21-Nov-26 08:01:00 GMT", 60),
        ("Sat Nov 21 08:01:00 2026", 60),
        ("Sat, 21 Nov 2026 07:59:00 GMT", 0),
        ("Sun, 22 Nov 2026 18:00:00 GMT", 122400),
        ("Sat, 21 Nov 2037 08:00:00 GMT", 2592000),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        ("soon", None),
        ("3, 3", None),
        ("Sat, 99 Foo 2026 08:01:00 GMT", None),
        ("Sat, 21 Nov 999999 08:01:00 GMT", None),
    ],
)
def test_against_the_answers_own_date(zone: None, value: str, expected: float | None) -> None:
    assert seconds(value, DATE) == expected


@pytest.mark.parametrize("date", [None, "nonsense"])
def test_against_the_clock_where_the_answer_has_no_date(zone: None, date: str | None) -> None:
    found = seconds(formatdate(time.time() + 600, usegmt=True), date)
    assert found is not None
    assert 500 < found <= 600


def test_absent() -> None:
    assert seconds(None, DATE) is None
