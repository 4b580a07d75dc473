# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from acmed.manager.clock import DAY, MINUTE, SECOND
from acmed.manager.renewal import renew_at, retry_at

_BEGIN = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("lifetime", "after"),
    [
        (90 * DAY, 60 * DAY),
        (45 * DAY, 30 * DAY),
        (10 * DAY, 10 * DAY - 10 * DAY // 3),
        (9 * DAY, 9 * DAY // 2),
        (6 * DAY, 3 * DAY),
    ],
)
def test_third_of_the_lifetime_is_left_or_half_of_a_short_one(lifetime: int, after: int) -> None:
    assert renew_at(_BEGIN, _BEGIN + lifetime) == _BEGIN + after


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, MINUTE), (2, 10 * MINUTE), (3, 100 * MINUTE), (4, DAY), (5, DAY), (5000, DAY)]
)
def test_each_failure_waits_longer(failures: int, delay: int) -> None:
    assert retry_at(failures, _BEGIN, None) == _BEGIN + delay


def test_ca_may_ask_for_more_and_not_for_less() -> None:
    assert retry_at(1, _BEGIN, 7200) == _BEGIN + 120 * MINUTE
    assert retry_at(4, _BEGIN, 7200) == _BEGIN + DAY
