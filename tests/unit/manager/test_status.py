# SPDX-License-Identifier: LGPL-2.1-or-later
from dataclasses import replace
from pathlib import Path

import pytest

from acmed.config import Certificate
from acmed.manager import outcome
from acmed.manager.clock import DAY, MINUTE
from acmed.manager.errors import DeliveryFailed, Failure
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import LOST, AccountState, CertificateState, Issuance, Told, Window
from acmed.manager.known.status import Status, Work
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
_FRESH = Status("www", _CONFIGURED, "", _STATE, _installed(10 * DAY), files="now")
_DAMAGED = replace(_FRESH, state=replace(_STATE, files="then"))
_ISSUED = Issuance("f1", "default", "ecdsa-p256", "", False, "", "", "")
_BY_KEY = replace(_ISSUED, key_type="")
_BY_OLD_FILE = replace(_BY_KEY, key_stamp="old")
_KEYED = replace(_FRESH, configured=replace(_CONFIGURED, key_file=Path("/etc/ssl/private/own.key")))


@pytest.mark.parametrize(
    ("status", "days", "due"),
    [
        (_FRESH, 79, False),  # it has 80 days left
        (_FRESH, 80, True),
        (_FRESH, 2**32 - 1, True),
        # Neither the rule nor the CA is asked.
        (replace(_FRESH, installed=_installed(70 * DAY)), 19, False),
        (replace(_FRESH, installed=_installed(70 * DAY)), 20, True),
        (replace(_FRESH, state=replace(_STATE, window=Window("f1", "a.b", 1, 2))), 21, False),
        (replace(_FRESH, configured=replace(_CONFIGURED, renew_before=85)), 21, False),
        (replace(_FRESH, installed=_installed(90 * DAY)), 0, True),
        (replace(_FRESH, installed=_installed(90 * DAY - 1)), 0, False),
        # What is wrong with it besides is as ever.
        (replace(_FRESH, installed=None), 0, True),
        (replace(_FRESH, state=replace(_STATE, revoked="f1")), 0, True),
        (replace(_FRESH, state=replace(_STATE, files=LOST)), 0, True),
        (replace(_FRESH, installed=replace(_installed(0), identifiers=("old.example.com",))), 0, True),
        (replace(_FRESH, installed=None, unreadable="no"), 90, False),
    ],
)
def test_days_that_are_to_be_left(status: Status, days: int, due: bool) -> None:
    assert status.is_due(_NOW, days) is due


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
        # To be replaced when there is another key for it: only acme-privd knows of a provided one.
        (replace(_KEYED, state=replace(_STATE, revoked="f1", awaits_key=True)), "revoked", None),
        (replace(_KEYED, state=replace(_STATE, revoked="f1", other_key="f1")), "revoked", None),
        (replace(_KEYED, state=replace(_STATE, revoked="f1", awaits_key=True, other_key="f0")), "revoked", None),
        (
            replace(_KEYED, state=replace(_STATE, revoked="f1", awaits_key=True, other_key="f1")),
            "revoked",
            Work.RENEW,
        ),
        (replace(_FRESH, state=replace(_STATE, revoked="f1", awaits_key=True)), "revoked", Work.RENEW),
        (
            replace(_KEYED, state=replace(_STATE, revoked="f1", awaits_key=True, issued=_BY_OLD_FILE), key_stamp="new"),
            "revoked",
            None,
        ),
        # Its key was said to be compromised.
        (replace(_FRESH, state=replace(_STATE, compromised="f1")), "due", Work.RENEW),
        (replace(_FRESH, state=replace(_STATE, compromised="f0")), "valid", None),
        (replace(_FRESH, state=CertificateState()), "valid", Work.DELIVER),
        # Nothing to issue for a while, and a service is owed what is there.
        (
            replace(_FRESH, installed=_installed(70 * DAY), state=replace(_FAILING, delivered={})),
            "failing",
            Work.DELIVER,
        ),
        (replace(_FRESH, installed=replace(_installed(0), identifiers=("old.example.com",))), "due", Work.RENEW),
        # Files that were changed are put back, whatever else there is; a revoked one's are not.
        (_DAMAGED, "due", Work.RESTORE),
        (replace(_DAMAGED, installed=None), "missing", Work.RESTORE),
        (replace(_DAMAGED, installed=_installed(70 * DAY)), "due", Work.RESTORE),
        (replace(_DAMAGED, files=""), "valid", None),
        (replace(_DAMAGED, state=replace(_DAMAGED.state, files=LOST)), "due", Work.RENEW),
        (replace(_DAMAGED, state=replace(_DAMAGED.state, revoked="f1")), "revoked", None),
        (replace(_DAMAGED, state=replace(_DAMAGED.state, revoked="f1", replace=True)), "revoked", Work.RENEW),
        # To be replaced, and that has failed.
        (replace(_FRESH, state=replace(_FAILING, revoked="f1", replace=True)), "revoked", None),
        # The CA's window comes before the rule, and is over.
        (replace(_FRESH, state=replace(_STATE, window=Window("f1", "a.b", 1, 2))), "due", Work.RENEW),
        (replace(_FRESH, state=replace(_STATE, window=Window("f0", "a.b", 1, 2))), "valid", None),
        (replace(_FRESH, configured=replace(_CONFIGURED, renew_before=81)), "due", Work.RENEW),
        (replace(_FRESH, configured=None, problem="www.toml:1: no"), "failing", None),
        (replace(_FRESH, installed=None, unreadable="cert.pem: no"), "failing", None),
    ],
)
def test_state_and_what_the_timer_does(status: Status, word: str, work: Work | None) -> None:
    assert (status.word(_NOW), status.work(_NOW)) == (word, work)
    due_now = status.next_attempt(_NOW) == _NOW
    assert due_now == (work is not None)


def test_what_was_put_back_is_no_time_to_renew_in() -> None:
    """Else one that lives for no longer than it is to be renewed before its end would be renewed again and again."""
    installed = replace(_installed(DAY), not_after=_NOW + 7 * DAY)
    issued = replace(_ISSUED, backdated=DAY)
    status = replace(_FRESH, configured=replace(_CONFIGURED, renew_before=7), installed=installed)
    fresh = replace(status, state=replace(_STATE, issued=issued))
    assert (fresh.work(_NOW), fresh.renew_at, fresh.endangered(_NOW)) == (None, _NOW + 7 * DAY // 2, False)
    assert fresh.word(_NOW + 7 * DAY // 2) == "due"
    other = replace(status, state=replace(_STATE, issued=replace(issued, fingerprint="f0")))
    assert (other.work(_NOW), other.renew_at) == (Work.RENEW, _NOW)


def test_next_attempt_waits_for_the_later_of_the_two() -> None:
    assert _FRESH.next_attempt(_NOW) == _FRESH.renew_at
    assert replace(_FRESH, installed=None, state=_FAILING).next_attempt(_NOW) == _FAILING.retry_at


def test_work_after_files_could_not_be_put_back() -> None:
    assert _DAMAGED.work(_NOW, restore=False) is None
    assert replace(_DAMAGED, installed=_installed(70 * DAY)).work(_NOW, restore=False) is Work.RENEW


@pytest.mark.parametrize(
    ("status", "endangered"),
    [
        (_FRESH, False),
        (replace(_FRESH, installed=_installed(75 * DAY - 1)), False),
        (replace(_FRESH, installed=_installed(75 * DAY)), True),
        (replace(_FRESH, installed=_installed(95 * DAY)), True),
        (replace(_FRESH, configured=replace(_CONFIGURED, renew_before=5), installed=_installed(87 * DAY)), False),
        (replace(_FRESH, configured=replace(_CONFIGURED, renew_before=5), installed=_installed(88 * DAY)), True),
        (replace(_FRESH, state=_FAILING), False),
        (replace(_FRESH, installed=None), False),
        (replace(_FRESH, installed=None, state=_FAILING), True),
        (replace(_FRESH, installed=None, configured=None, problem="www.toml:1: no"), True),
        (replace(_FRESH, state=replace(_STATE, revoked="f1")), False),
        (replace(_FRESH, state=replace(_STATE, revoked="f1", replace=True)), True),
        # The CA has pulled its time in.
        (replace(_FRESH, state=replace(_STATE, window=Window("f1", "a.b", 1, 2))), False),
        (replace(_FRESH, state=replace(_FAILING, window=Window("f1", "a.b", 1, 2))), True),
        (replace(_FRESH, state=replace(_FAILING, window=Window("f1", "a.b", _NOW, _NOW + DAY))), False),
        (replace(_FRESH, state=replace(_FAILING, window=Window("f1", "a.b"))), False),
    ],
)
def test_danger(status: Status, endangered: bool) -> None:
    assert status.endangered(_NOW) is endangered


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (replace(_FRESH, state=replace(_STATE, issued=_ISSUED)), ()),
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, profile="x"))), ("profile",)),
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, account="x"))), ("account",)),
        # Of another certificate: nothing is known of this one.
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, fingerprint="f0", account="x"))), ()),
        (replace(_FRESH, state=replace(_STATE, account="x")), ("account",)),
        (replace(_FRESH, state=replace(_STATE, account="default")), ()),
        (replace(_KEYED, state=replace(_STATE, issued=replace(_BY_KEY, key_stamp="1")), key_stamp="2"), ("key-file",)),
        (replace(_KEYED, state=replace(_STATE, issued=replace(_BY_KEY, key_stamp="1")), key_stamp=""), ()),
        (replace(_KEYED, state=replace(_STATE, issued=_BY_KEY), key_stamp="2"), ()),
        (replace(_KEYED, state=replace(_STATE, issued=_BY_KEY, other_key="f1")), ("key-file",)),
        (replace(_KEYED, state=replace(_STATE, issued=_BY_KEY, other_key="f0")), ()),
        # acme-privd has looked, so that it is known also where nothing else is.
        (replace(_KEYED, state=replace(_STATE, other_key="f1")), ("key-file",)),
        (replace(_FRESH, state=replace(_STATE, issued=_ISSUED, other_key="f1")), ()),
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, directory="1")), directory="2"), ("ca",)),
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, directory="1")), directory="1"), ()),
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, directory="1")), directory=""), ()),
        (replace(_FRESH, state=replace(_STATE, issued=_ISSUED), directory="2"), ()),
        (
            replace(
                _FRESH,
                configured=replace(_CONFIGURED, csr=True),
                state=replace(_STATE, csr="c2", issued=replace(_ISSUED, key_type="", csr="c1")),
            ),
            ("csr",),
        ),
        # Its own key again.
        (replace(_FRESH, state=replace(_STATE, issued=replace(_ISSUED, key_type="", csr="c1"))), ("key-type", "csr")),
    ],
)
def test_differences(status: Status, words: tuple[str, ...]) -> None:
    assert status.differences == words
    assert status.is_due(_NOW) == bool(words)


def test_certificate_that_came_ends_what_was_before() -> None:
    state = replace(_FAILING, replace=True, told=Told(failed=1, expiring="f1"))
    assert outcome.issued(state) == replace(_STATE, told=Told(expiring="f1"))
    assert outcome.after(state, "order", None, _NOW) == replace(_STATE, told=Told(expiring="f1"))
    assert outcome.after(state, "restore", None, _NOW) == state


def test_names_of_an_account_wait_as_certificates_do() -> None:
    state = AccountState(status="valid")
    once = outcome.after_authorization(state, _REFUSED, _NOW)
    twice = outcome.after_authorization(once, Failure("x", "no", retry_after=7200), _NOW)
    assert (once.failures, once.retry_at) == (1, _NOW + MINUTE)
    assert (twice.failures, twice.retry_at) == (2, _NOW + 120 * MINUTE)
    assert outcome.after_authorization(twice, None, _NOW) == state


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
