# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end of a job means for its certificate."""

from dataclasses import replace

from acmed.manager import renewal
from acmed.manager.errors import DeliveryFailed, Failure
from acmed.manager.jobs import ORDER, RENEW
from acmed.manager.state import CertificateState


def after(state: CertificateState, kind: str, failure: Failure | None, now: int) -> CertificateState:
    """The state of a certificate after a job of this kind that was done, or failed. now: microseconds since 1970.

    A delivery that failed is no failure of the certificate's, and does not make its renewal wait.
    """
    issued = kind in (ORDER, RENEW) and (failure is None or isinstance(failure, DeliveryFailed))
    if issued or (failure is None and not state.failures):
        state = replace(state, failures=0, error_name="", error_message="", error_time=0, retry_at=0)
    if failure is None:
        return state
    state = replace(state, error_name=failure.name, error_message=failure.message, error_time=now)
    if issued or kind not in (ORDER, RENEW):
        return state
    failures = state.failures + 1
    return replace(state, failures=failures, retry_at=renewal.retry_at(failures, now, failure.retry_after))
