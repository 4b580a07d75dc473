# SPDX-License-Identifier: LGPL-2.1-or-later
"""A job that failed, or was not started: what is said of it, and what to do."""

from acmed.ctl import outlook
from acmed.ctl.advice import UNREVOKED, advice, elsewhere, is_limit, is_transient
from acmed.ctl.following.follow import Outcome
from acmed.ctl.records import Error
from acmed.ctl.trouble import GOOD_STATES

_FAILED = {
    "failed": "failed",
    "canceled": "was canceled",
    "timeout": "took too long and was ended",
    "refused": "was not started",
}
_OF_NO_CERTIFICATE = ("account", "authorize", "deactivate-account", "rollover-key", "update-account")
_ALREADY_REVOKED = "org.acmed1.AcmeError.alreadyRevoked"


def failure(outcome: Outcome, now: float) -> tuple[str, str]:
    """The message for a job that is not done, and what to do next."""
    what = _FAILED.get(outcome.result, outcome.result)
    if outcome.error is None:
        message, hint = f"{outcome.name}: {what}", UNREVOKED if outcome.type == "revoke" else ""
    else:
        message = f"{outcome.name}: {what}: {outcome.error.message} ({outcome.error.name})"
        hint = _hint(outcome, outcome.error, now)
    if outcome.remark:
        message += f"\nnote: {outcome.remark}"
    if outcome.id is not None and outcome.result != "canceled":
        hint = f"{hint}\nThe whole story: journalctl ACME_JOB={outcome.id}".strip()
    return message, hint


def _hint(outcome: Outcome, error: Error, now: float) -> str:
    """What to do about a job that failed, or was not started."""
    if outcome.account or outcome.type in _OF_NO_CERTIFICATE:
        return elsewhere(error.name, error.message)
    if is_replaced(outcome, error):
        return f"Another one is ordered in its place, by a job of its own: 'acmectl status {outcome.name}' shows it."
    hint = advice(error.name, outcome.name, error.message)
    return f"{hint}\n{_outlook(outcome, error, now)}".strip()


def is_replaced(outcome: Outcome, error: Error) -> bool:
    """Whether what could not be put back is ordered anew, as a job of that type says."""
    return outcome.id is not None and outcome.type == "restore" and error.name == outlook.NOT_ISSUED


def _outlook(outcome: Outcome, error: Error, now: float) -> str:
    """Whether it is tried again; empty where that is not to be said."""
    if outcome.type == "revoke":
        return UNREVOKED if outcome.id is not None and error.name != _ALREADY_REVOKED else ""
    if outcome.id is None or outcome.certificate is None:
        return ""
    if is_transient(error.name) or is_limit(error.name) or outcome.certificate.state in GOOD_STATES:
        return outlook.promise(outcome.certificate, now, at_once=not is_limit(error.name))
    return ""
