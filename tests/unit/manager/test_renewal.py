# SPDX-License-Identifier: LGPL-2.1-or-later
from dataclasses import replace

import pytest

from acmed.manager.clock import DAY, HOUR, MINUTE, SECOND
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import Window
from acmed.manager.upkeep.renewal import endangered_at, planned, renew_at, retry_at, settled_at

_BEGIN = 1_700_000_000 * SECOND
_HALF = "8" + 63 * "0"  # a fingerprint in the middle of all


def _installed(lifetime: int = 90 * DAY) -> Installed:
    return Installed("stamp", _HALF, "01", "CN=CA", ("www.example.com",), _BEGIN, _BEGIN + lifetime)


def _window(start: int, end: int, fingerprint: str = _HALF) -> Window:
    """From the beginning of validity."""
    return Window(fingerprint, "a.b", _BEGIN + start, _BEGIN + end)


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
    assert planned(_installed(lifetime), None) == renew_at(_installed(lifetime), None, None) == _BEGIN + after


@pytest.mark.parametrize(
    ("lifetime", "before", "after"),
    [
        (90 * DAY, 20, 70 * DAY),
        (90 * DAY, 0.5, 45 * DAY),
        (6 * DAY, 1, 5 * DAY),
        # A certificate that does not live so long would be renewed again and again.
        (6 * DAY, 30, 3 * DAY),
        (6 * DAY, 6, 3 * DAY),
    ],
)
def test_what_is_configured_comes_before_the_rule(lifetime: int, before: float, after: int) -> None:
    assert planned(_installed(lifetime), before) == _BEGIN + after


def test_window_of_the_ca_comes_before_the_rule() -> None:
    assert renew_at(_installed(), None, _window(50 * DAY, 52 * DAY)) == _BEGIN + 51 * DAY
    assert renew_at(_installed(), None, _window(70 * DAY, 72 * DAY)) == _BEGIN + 71 * DAY
    # RFC 9773, section 4.2: a window in the past means at once.
    assert renew_at(_installed(), None, _window(1 * DAY, 2 * DAY)) == _BEGIN + 36 * HOUR
    # It has said nothing.
    assert renew_at(_installed(), None, Window(_HALF, "a.b")) == _BEGIN + 60 * DAY


@pytest.mark.parametrize(
    ("lifetime", "age", "wait"),
    [
        (90 * DAY, 49 * HOUR, 0),
        (90 * DAY, 47 * HOUR, DAY),
        (6 * DAY, 0, DAY),
        # In a day one that lives so short would be in danger.
        (DAY, 13 * HOUR, 0),
        (DAY, 11 * HOUR, 6 * HOUR),
        # The clock was set back.
        (90 * DAY, -DAY, DAY),
    ],
)
def test_window_that_each_new_certificate_has_behind_it(lifetime: int, age: int, wait: int) -> None:
    """The first is replaced at once; one that has replaced another which was young waits. age: of the one before."""
    settled = settled_at(_installed(lifetime), _BEGIN, _BEGIN - age)
    assert settled == (_BEGIN + wait if wait else 0)
    if wait:
        assert renew_at(_installed(lifetime), None, _window(-2 * DAY, -DAY), settled) == _BEGIN + wait


def test_window_of_one_that_lives_short() -> None:
    assert renew_at(_installed(DAY), None, _window(8 * HOUR, 10 * HOUR)) == _BEGIN + 9 * HOUR


def test_moment_in_the_window_is_spread_and_stays() -> None:
    window, length = _window(50 * DAY, 52 * DAY), 2 * DAY
    for digit, share in (("0", 0), ("4", length // 4), ("c", 3 * length // 4)):
        fingerprint = digit + 63 * "0"
        installed = replace(_installed(), fingerprint=fingerprint)
        assert renew_at(installed, None, replace(window, fingerprint=fingerprint)) == _BEGIN + 50 * DAY + share
    last = "f" * 64
    moment = renew_at(replace(_installed(), fingerprint=last), None, replace(window, fingerprint=last))
    assert window.start < moment < window.end


def test_ca_and_configuration_the_earlier_of_the_two() -> None:
    window = _window(70 * DAY, 72 * DAY)
    assert renew_at(_installed(), 30, window) == _BEGIN + 60 * DAY
    assert renew_at(_installed(), 5, window) == _BEGIN + 71 * DAY


def test_no_window_lets_a_certificate_come_into_danger() -> None:
    far = _window(200 * DAY, 300 * DAY)
    assert renew_at(_installed(), None, far) == endangered_at(_installed(), None) == _BEGIN + 75 * DAY
    assert endangered_at(_installed(), 10) == _BEGIN + 85 * DAY


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, MINUTE), (2, 10 * MINUTE), (3, 100 * MINUTE), (4, DAY), (5, DAY), (5000, DAY)]
)
def test_each_failure_waits_longer(failures: int, delay: int) -> None:
    assert retry_at(failures, _BEGIN, None) == _BEGIN + delay


def test_ca_may_ask_for_more_and_not_for_less() -> None:
    assert retry_at(1, _BEGIN, 7200) == _BEGIN + 120 * MINUTE
    assert retry_at(4, _BEGIN, 7200) == _BEGIN + DAY


@pytest.mark.parametrize(
    ("failures", "left", "delay"),
    [
        # There is time.
        (4, 30 * DAY, DAY),
        (4, 8 * DAY, DAY),
        (4, 4 * DAY, DAY // 2),
        (4, 9 * HOUR, 67 * MINUTE + 30 * SECOND),
        # Not more often than the timer runs.
        (3, 9 * HOUR, 67 * MINUTE + 30 * SECOND),
        (2, 9 * HOUR, 10 * MINUTE),
        (4, 4 * HOUR, HOUR),
        (3, 0, HOUR),
        (1, 0, MINUTE),
        (30, -5 * DAY, HOUR),
        # Nobody has come.
        (201, -8 * DAY, DAY),
    ],
)
def test_pauses_do_not_pass_over_what_is_left(failures: int, left: int, delay: int) -> None:
    assert retry_at(failures, _BEGIN, None, _BEGIN + left) == _BEGIN + delay


@pytest.mark.parametrize("lifetime", [DAY, 6 * DAY, 90 * DAY])
def test_ca_that_is_back_is_asked_before_the_end(lifetime: int) -> None:
    """Whenever in its last half that is, but for the last hours: within an eighth of what is left then."""
    installed = _installed(lifetime)
    moment, failures = planned(installed, None), 0
    while installed.not_after - moment > 2 * HOUR:
        failures += 1
        again = retry_at(failures, moment, None, installed.not_after)
        assert again - moment <= max(HOUR, (installed.not_after - moment) // 8)
        moment = again
    assert moment < installed.not_after
