# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end of a job means for what it was about."""

from dataclasses import replace
from typing import TypeVar

from acmed.manager.clock import DAY, HOUR, SECOND
from acmed.manager.errors import RATE_LIMITED, DeliveryFailed, Failure
from acmed.manager.jobs import ORDER, RENEW, REVOKE
from acmed.manager.known.remembered import AccountState, CertificateState
from acmed.manager.known.status import Status
from acmed.manager.upkeep import renewal

_State = TypeVar("_State", CertificateState, AccountState)


def after(state: CertificateState, kind: str, failure: Failure | None, now: int) -> CertificateState:
    """The state of a certificate after a job of this kind that was done, or failed. now: microseconds since 1970.

    A delivery that failed is no failure of the certificate's, and does not make its renewal wait.
    """
    ordered = kind in (ORDER, RENEW)
    got_one = ordered and (failure is None or isinstance(failure, DeliveryFailed))
    if got_one:
        state = issued(state)
    elif failure is None and not state.failures:
        state = replace(_cleared(state), told=replace(state.told, failed=0))
    elif failure is None and state.error_job == kind:  # what else has failed is still tried again
        state = replace(state, error_name="", error_message="", error_job="")
    if failure is None:
        return state
    state = replace(state, error_job=kind)
    if kind == REVOKE and state.installed:
        state = replace(state, unrevoked=state.installed.fingerprint)
    if ordered and not got_one:
        wait = _wait(state, failure, now)
        failed = _failed(state, failure, wait, now, _end(state, now))
        return _limited(failed, wait, now)
    return replace(state, error_name=failure.name, error_message=failure.message, error_time=now)


def is_lasting(status: Status, kind: str, failure: Failure, now: int) -> bool:
    """Whether the failure of a job is one of the certificate's. That of a renewal which nothing calls for yet is not:
    whoever wanted it is told, and it is neither tried again nor missing. status: as it is after the job.
    """
    if kind not in (ORDER, RENEW) or isinstance(failure, DeliveryFailed):
        return True
    return bool(status.unreadable) or status.is_due(now)


def asked_to_wait(state: CertificateState, failure: Failure, now: int) -> CertificateState:
    """The state of a certificate after a failure that is not lasting: as it was, but for the time that the CA has asked
    for, which counts if it is revoked meanwhile. What falls due asks anew: it may be for other names, or elsewhere.
    """
    wait = _wait(state, failure, now)
    return _limited(state, wait, now) if wait else state


def issued(state: CertificateState) -> CertificateState:
    """The state of a certificate that the CA has issued anew: whatever failed before is over."""
    told = replace(state.told, failed=0)
    state = replace(_limited(_cleared(state), None, now=0), replace=False, awaits_key=False, unrevoked="")
    return replace(state, told=told)


def revoked(
    state: CertificateState, fingerprint: str, wanted: bool, now: int, awaits_key: bool = False
) -> CertificateState:
    """The state of a certificate that is revoked. wanted: another one is to be ordered; awaits_key: when there is
    another key for it.

    That waits for no pause which acmed made after failures: they begin anew. For what the CA asked for it does wait.
    """
    replaced = replace(state, revoked=fingerprint, replace=wanted and not awaits_key, awaits_key=wanted and awaits_key)
    return _anew(replace(replaced, unrevoked=""), now)


def compromised(state: CertificateState, fingerprint: str, now: int) -> CertificateState:
    """The state of a certificate whose key is compromised: another one is to be ordered, as after a revocation."""
    return _anew(replace(state, compromised=fingerprint), now)


def _anew(state: CertificateState, now: int) -> CertificateState:
    state = replace(state, told=replace(state.told, failed=0))
    if state.is_limited(now):
        since = state.error_time or state.limited_since
        return replace(state, failures=1, retry_at=state.limited_until, error_time=since)
    return _limited(_cleared(state), None, now)


def after_authorization(state: AccountState, failure: Failure | None, now: int) -> AccountState:
    """The state of an account after a job that authorized names without a certificate."""
    return _failed(state, failure, failure.retry_after, now) if failure else replace(_cleared(state), told=0)


def _wait(state: CertificateState, failure: Failure, now: int) -> int | None:
    """How long to wait (seconds), as asked for: but beyond an hour for no more than half of the time that what is
    installed has left, so that it does not expire meanwhile, and for no more than a day once it has.
    """
    if failure.retry_after is None or state.installed is None:
        return failure.retry_after
    left = state.installed.not_after - now
    return min(failure.retry_after, (max(HOUR, left // 2) if left > 0 else DAY) // SECOND)


def _limited(state: CertificateState, wait: int | None, now: int) -> CertificateState:
    """wait: seconds, as asked for now; None where nothing is."""
    until, since = (now + wait * SECOND, now) if wait else (0, 0)
    return replace(state, limited_until=until, limited_since=since)


def _end(state: CertificateState, now: int) -> int | None:
    """Until when what is installed can be used; None for nothing."""
    if state.installed is None:
        return None
    return now if state.revoked == state.installed.fingerprint else state.installed.not_after


def _cleared(state: _State) -> _State:
    state = replace(state, failures=0, error_name="", error_message="", error_time=0, retry_at=0)
    return replace(state, error_job="") if isinstance(state, CertificateState) else state


def _failed(state: _State, failure: Failure, wait: int | None, now: int, end: int | None = None) -> _State:
    # At a limit of acmed's own nobody was asked: that is over when the limit is.
    is_own_limit = failure.name == RATE_LIMITED and failure.retry_after is not None
    failures = max(state.failures, 1) if is_own_limit else state.failures + 1
    return replace(
        state,
        failures=failures,
        error_name=failure.name,
        error_message=failure.message,
        error_time=now,
        retry_at=renewal.retry_at(1 if is_own_limit else failures, now, wait, end),
    )
