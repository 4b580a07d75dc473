# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is remembered of a job that failed."""

from dataclasses import replace
from pathlib import Path

import pytest

from acmed.config import Certificate
from acmed.manager import errors
from acmed.manager.clock import DAY, HOUR, MINUTE, SECOND
from acmed.manager.errors import Failure
from acmed.manager.jobs import DELIVER, ORDER, RENEW, RESTORE, REVOKE
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import CertificateState, Told
from acmed.manager.known.status import Status, Work
from acmed.manager.outcome import after, asked_to_wait, issued, revoked
from acmed.manager.ways import failover
from acmed.names import Identifier

NOW = 1_800_000_000 * SECOND


def test_pauses_grow() -> None:
    state, pauses = CertificateState(), []
    for _ in range(5):
        state = after(state, ORDER, Failure(errors.UNREACHABLE, "down"), NOW)
        pauses.append(state.retry_at - NOW)
    assert pauses == [MINUTE, 10 * MINUTE, 100 * MINUTE, DAY, DAY]
    assert state.failures == 5


def test_limit_of_our_own_is_waited_for_and_no_longer() -> None:
    """However often somebody tries meanwhile: no CA was asked."""
    state = CertificateState()
    for _ in range(7):
        state = after(state, ORDER, Failure(errors.RATE_LIMITED, "at the limit", 3000), NOW)
    assert (state.failures, state.retry_at) == (1, NOW + 3000 * SECOND)
    assert state.error_name == errors.RATE_LIMITED


def test_limit_of_our_own_keeps_the_failures_before_it() -> None:
    state = CertificateState()
    for _ in range(3):
        state = after(state, ORDER, Failure(errors.UNREACHABLE, "down"), NOW)
    state = after(state, ORDER, Failure(errors.RATE_LIMITED, "at the limit", 3000), NOW)
    assert (state.failures, state.retry_at) == (3, NOW + 3000 * SECOND)


@pytest.mark.parametrize("name", ["org.acmed1.AcmeError.rateLimited", errors.RATE_LIMITED])
@pytest.mark.parametrize(
    ("left", "asked", "wait"),
    [
        (10 * DAY, 30 * DAY, 5 * DAY),
        (10 * DAY, 4 * DAY, 4 * DAY),
        (90 * DAY, 30 * DAY, 30 * DAY),
        (DAY, 30 * DAY, DAY // 2),
        (DAY, 9 * HOUR, 9 * HOUR),
        (90 * MINUTE, 30 * DAY, HOUR),
        (0, 30 * DAY, DAY),
        (-DAY, 30 * DAY, DAY),
        (None, 30 * DAY, 30 * DAY),
    ],
)
def test_certificate_does_not_expire_while_a_ca_is_waited_for(
    name: str, left: int | None, asked: int, wait: int
) -> None:
    """An hour is waited in any case, where that is asked for, and a day where it has expired already."""
    there = Installed("s", "f1", "01", "CN=CA", (), NOW - 80 * DAY, NOW + left) if left is not None else None
    state = after(CertificateState(installed=there), ORDER, Failure(name, "wait", asked // SECOND), NOW)
    assert (state.retry_at - NOW, state.limited_until - NOW) == (wait, wait)


def test_attempts_for_what_has_no_time_left_do_not_grow_rarer() -> None:
    """What is installed expires, or is revoked."""
    there = Installed("s", "f1", "01", "CN=CA", (), NOW - 80 * DAY, NOW + 2 * DAY)
    for begun, last in (
        (CertificateState(installed=there), 6 * HOUR),
        (CertificateState(installed=there, revoked="f1", replace=True), HOUR),
        (CertificateState(installed=there, revoked="f0"), 6 * HOUR),
    ):
        state, pauses = begun, []
        for _ in range(5):
            state = after(state, RENEW, Failure(errors.UNREACHABLE, "down"), NOW)
            pauses.append(state.retry_at - NOW)
        assert pauses == [MINUTE, 10 * MINUTE, min(100 * MINUTE, last), last, last]


def test_attempts_grow_rarer_where_one_of_several_accounts_is_at_our_own_limit() -> None:
    """The CA of the other one is asked each time."""
    failure = failover.together(
        [
            ("one", Failure(errors.TIMED_OUT, "not done", 3)),
            ("two", Failure(errors.RATE_LIMITED, "at the limit", 3 * 24 * 3600)),
        ]
    )
    state, pauses = CertificateState(), []
    for _ in range(4):
        state = after(state, ORDER, failure, NOW)
        pauses.append(state.retry_at - NOW)
    assert pauses == [MINUTE, 10 * MINUTE, 100 * MINUTE, DAY]


def test_revocation_begins_another_row() -> None:
    state = CertificateState(told=Told(failed=NOW, expiring="f1"))
    for _ in range(4):
        state = after(state, ORDER, Failure(errors.UNREACHABLE, "down"), NOW)
    assert revoked(state, "f1", True, NOW) == CertificateState(revoked="f1", replace=True, told=Told(expiring="f1"))
    awaiting = revoked(state, "f1", True, NOW, awaits_key=True)
    assert awaiting == CertificateState(revoked="f1", awaits_key=True, told=Told(expiring="f1"))
    assert not issued(awaiting).awaits_key
    assert not revoked(state, "f1", False, NOW, awaits_key=True).awaits_key


def test_revocation_keeps_what_the_ca_asked_for_as_long_as_that_runs() -> None:
    state = CertificateState()
    for _ in range(4):
        state = after(state, ORDER, Failure(errors.UNREACHABLE, "busy", 3000), NOW)
    assert (state.retry_at, state.limited_until) == (NOW + DAY, NOW + 3000 * SECOND)
    found = revoked(state, "f1", True, NOW)
    assert (found.failures, found.retry_at, found.error_message) == (1, NOW + 3000 * SECOND, "busy")
    assert revoked(state, "f1", True, state.limited_until) == CertificateState(revoked="f1", replace=True)
    # A failure that says nothing of that, and a certificate that came, end it.
    assert after(state, ORDER, Failure(errors.UNREACHABLE, "down"), NOW).limited_until == 0
    assert issued(state) == CertificateState()


def test_error_is_of_the_job_that_failed_last() -> None:
    """A revocation that failed is none that is tried again, beside a renewal that is."""
    failing = after(CertificateState(), RENEW, Failure(errors.UNREACHABLE, "down"), NOW)
    unrevoked = after(failing, REVOKE, Failure(errors.UNREACHABLE, "still down"), NOW + MINUTE)
    assert (failing.error_job, unrevoked.error_job) == (RENEW, REVOKE)
    assert (unrevoked.failures, unrevoked.retry_at) == (failing.failures, failing.retry_at)
    assert after(unrevoked, RENEW, None, NOW + DAY).error_job == ""


def _status(state: CertificateState) -> Status:
    return Status("www", None, "", state, state.installed)


def test_certificate_is_unrevoked_until_it_is_revoked_or_another_one_is_there() -> None:
    """Whatever else is done, or fails, meanwhile."""
    there = Installed("s", "f1", "01", "CN=CA", (), NOW - 80 * DAY, NOW + 10 * DAY)
    down = Failure(errors.UNREACHABLE, "down")
    state = after(CertificateState(installed=there), REVOKE, down, NOW)
    assert _status(state).unrevoked
    for kind, failure in ((RESTORE, None), (DELIVER, None), (DELIVER, down), (RENEW, down), (DELIVER, None)):
        state = after(state, kind, failure, NOW)
        assert _status(state).unrevoked
    assert not _status(revoked(state, "f1", True, NOW)).unrevoked
    assert not _status(after(state, RENEW, None, NOW)).unrevoked
    assert not _status(replace(state, installed=replace(there, fingerprint="f2"))).unrevoked


@pytest.mark.parametrize("kind", [DELIVER, RESTORE])
def test_error_that_is_put_right_is_over_beside_a_renewal_that_is_tried_again(kind: str) -> None:
    failing = after(CertificateState(), RENEW, Failure(errors.UNREACHABLE, "down"), NOW)
    both = after(failing, kind, Failure(errors.INSTALL_FAILED, "nginx"), NOW + SECOND)
    assert both.error_message == "nginx"
    left = after(both, kind, None, NOW + 2 * SECOND)
    assert (left.error_name, left.error_message, left.error_job) == ("", "", "")
    assert (left.failures, left.retry_at) == (1, failing.retry_at)
    assert left.waits_until(NOW + 3 * SECOND) == failing.retry_at
    other = RESTORE if kind == DELIVER else DELIVER
    assert after(both, other, None, NOW + 2 * SECOND) == both


def test_what_the_ca_asked_for_before_its_time_holds_back_nothing_that_falls_due() -> None:
    """It was no failure, and what falls due may be for other names, at another CA."""
    limit = Failure("org.acmed1.AcmeError.rateLimited", "wait", 20 * 3600)
    there = Installed("s", "f1", "01", "CN=CA", ("www.example.com",), NOW - 60 * DAY + HOUR, NOW + 30 * DAY + HOUR)
    configured = Certificate("www", Path("www.toml"), (Identifier("dns", "www.example.com"),), "default")
    status = Status("www", configured, "", asked_to_wait(CertificateState(installed=there), limit, NOW), there)
    assert not status.is_due(NOW)
    assert status.next_attempt(NOW) == NOW + HOUR
    assert status.work(NOW + 2 * HOUR) is Work.RENEW


def test_what_the_ca_asked_for_is_not_waited_for_longer_after_a_clock_was_set_back() -> None:
    """By far: it was ahead when the CA asked."""
    there = Installed("s", "f1", "01", "CN=CA", (), NOW - 80 * DAY, NOW + 90 * DAY)
    limit = Failure("org.acmed1.AcmeError.rateLimited", "wait", DAY // SECOND)
    state = asked_to_wait(CertificateState(installed=there), limit, NOW + 20 * DAY)
    assert revoked(state, "f1", True, NOW).retry_at == 0
    ahead = revoked(state, "f1", True, NOW + 20 * DAY)
    assert (ahead.failures, ahead.retry_at) == (1, NOW + 21 * DAY)
    assert ahead.waits_until(NOW) == 0
