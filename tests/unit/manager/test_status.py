# SPDX-License-Identifier: LGPL-2.1-or-later
from dataclasses import replace
from pathlib import Path

import pytest

from acmed.config import Certificate
from acmed.manager import outcome
from acmed.manager.clock import DAY, MINUTE
from acmed.manager.errors import DeliveryFailed, Failure
from acmed.manager.installed import Installed
from acmed.manager.state import CertificateState
from acmed.manager.status import Status, Work
from acmed.names import Identifier

_NOW = 1_700_000_000 * 1_000_000
_CONFIGURED = Certificate(
    "www", Path("www.toml"), (Identifier("dns", "www.example.com"),), "default", services=("nginx",)
)
_REFUSED = Failure("org.acmed1.AcmeError.caa", "no", retry_after=None)


def _installed(age: int) -> Installed:
    begin = _NOW - age
    return Installed("stamp", "f1", "01", "CN=CA", ("www.example.com",), begin, begin + 90 * DAY)


_STATE = CertificateState(delivered={"nginx": "f1"})
_FAILING = replace(_STATE, failures=2, error_name="x", error_time=_NOW - 5 * MINUTE, retry_at=_NOW + 5 * MINUTE)
_FRESH = Status("www", _CONFIGURED, "", _STATE, _installed(10 * DAY))


@pytest.mark.parametrize(
    ("status", "word", "work"),
    [
        (_FRESH, "valid", None),
        (replace(_FRESH, installed=_installed(60 * DAY)), "due", Work.RENEW),
        (replace(_FRESH, installed=_installed(60 * DAY - 1)), "valid", None),
        (replace(_FRESH, installed=_installed(90 * DAY)), "expired", Work.RENEW),
        (replace(_FRESH, installed=None), "missing", Work.RENEW),
        (replace(_FRESH, installed=None, state=_FAILING), "failing", None),
        (replace(_FRESH, installed=_installed(70 * DAY), state=_FAILING), "failing", None),
        (replace(_FRESH, installed=_installed(95 * DAY), state=_FAILING), "expired", None),
        (
            replace(_FRESH, installed=_installed(70 * DAY), state=replace(_FAILING, retry_at=_NOW)),
            "failing",
            Work.RENEW,
        ),
        # The clock was set back behind the failure.
        (
            replace(_FRESH, installed=None, state=replace(_FAILING, error_time=_NOW + 1, retry_at=_NOW + DAY)),
            "failing",
            Work.RENEW,
        ),
        (replace(_FRESH, state=replace(_STATE, revoked="f1")), "revoked", None),
        (replace(_FRESH, state=replace(_STATE, revoked="f0")), "valid", None),
        (replace(_FRESH, state=CertificateState()), "valid", Work.DELIVER),
        # Nothing to issue for a while, and a service is owed what is there.
        (
            replace(_FRESH, installed=_installed(70 * DAY), state=replace(_FAILING, delivered={})),
            "failing",
            Work.DELIVER,
        ),
        (replace(_FRESH, installed=replace(_installed(0), identifiers=("old.example.com",))), "due", Work.RENEW),
        (replace(_FRESH, configured=None, problem="www.toml:1: no"), "failing", None),
        (replace(_FRESH, installed=None, unreadable="cert.pem: no"), "failing", None),
    ],
)
def test_state_and_what_the_timer_does(status: Status, word: str, work: Work | None) -> None:
    assert (status.word(_NOW), status.work(_NOW)) == (word, work)
    due_now = status.next_attempt(_NOW) == _NOW
    assert due_now == (work is not None)


def test_next_attempt_waits_for_the_later_of_the_two() -> None:
    assert _FRESH.next_attempt(_NOW) == _FRESH.renew_at
    assert replace(_FRESH, installed=None, state=_FAILING).next_attempt(_NOW) == _FAILING.retry_at


def test_failure_counts_and_success_clears() -> None:
    once = outcome.after(_STATE, "renew", _REFUSED, _NOW)
    twice = outcome.after(once, "order", _REFUSED, _NOW + DAY)
    assert (once.failures, once.retry_at) == (1, _NOW + MINUTE)
    assert (twice.failures, twice.retry_at) == (2, _NOW + DAY + 10 * MINUTE)
    assert (twice.error_name, twice.error_message, twice.error_time) == ("org.acmed1.AcmeError.caa", "no", _NOW + DAY)
    assert outcome.after(twice, "renew", None, _NOW) == _STATE


def test_delivery_that_failed_is_no_failed_renewal() -> None:
    failing = outcome.after(_STATE, "renew", _REFUSED, _NOW)
    state = outcome.after(failing, "renew", DeliveryFailed("nginx: no"), _NOW)
    assert (state.failures, state.retry_at, state.error_message) == (0, 0, "nginx: no")
    assert outcome.after(state, "deliver", DeliveryFailed("nginx: still no"), _NOW).failures == 0
    assert outcome.after(state, "deliver", None, _NOW) == _STATE


def test_delivery_that_works_does_not_hide_that_renewal_fails() -> None:
    failing = outcome.after(_STATE, "renew", _REFUSED, _NOW)
    assert outcome.after(failing, "deliver", None, _NOW) == failing


def test_revocation_that_failed_does_not_make_renewal_wait() -> None:
    state = outcome.after(_STATE, "revoke", _REFUSED, _NOW)
    assert (state.failures, state.retry_at, state.error_message) == (0, 0, "no")
