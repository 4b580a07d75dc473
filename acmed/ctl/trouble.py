# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a certificate, and what to do about it: the lines "Attention" and "What to do" of `status`."""

from acmed.ctl import outlook
from acmed.ctl.advice import UNREVOKED, advice, is_limit, is_transient
from acmed.ctl.records import Certificate, Error

GOOD_STATES = ("valid", "due")
_DAMAGED = "its files are missing or were changed; 'acmectl renew --due' sees to it now, the timer within an hour"
_UNSEEN = (
    "acmed, which is not root, has to be able to read that file: 'namei -l' with its path shows owner and mode of each "
    "directory on the way."
)


def is_bad(certificate: Certificate) -> bool:
    """Whether it is not usable, was not renewed, could not be revoked, or soon will not be valid any more, or its files
    are not as they should be.
    """
    return certificate.state not in GOOD_STATES or bool(alarms(certificate))


def alarms(certificate: Certificate) -> list[str]:
    """What somebody should know of it before all else."""
    words = []
    if certificate.unrevoked:
        words.append("it was to be revoked, and that has failed: take it as NOT revoked")
    if certificate.endangered:
        words.append(_danger(certificate))
    # While a job is at work, what it does to the files is no damage.
    if certificate.damaged and not certificate.job and certificate.state not in ("failing", "revoked"):
        words.append(_DAMAGED)
    return words


def _danger(certificate: Certificate) -> str:
    if certificate.state == "revoked":
        return "it is revoked, and not replaced yet"
    if outlook.is_unseen(certificate):
        return "acmed cannot see what is installed, and renews nothing"
    return "it should have been renewed by now" if certificate.not_after else "there is none yet"


def to_do(certificate: Certificate, now: float) -> str:
    """What to do about the last error, and a revocation, be it done or failed; empty where nothing is. now: seconds
    since the epoch.
    """
    if outlook.is_left_alone(certificate):
        return outlook.how_to_replace(certificate)
    if outlook.is_unseen(certificate):
        return _UNSEEN
    about = _about(certificate, certificate.error, now) if certificate.error else ""
    return f"{about}\n{UNREVOKED}".strip() if certificate.unrevoked else about


def _about(certificate: Certificate, error: Error, now: float) -> str:
    if outlook.is_lost(certificate):
        return "Another one is ordered in its place."
    hint = advice(error.name, certificate.name, error.message)
    if certificate.error_job == "revoke":
        return hint
    # A delivery that failed has the name of an installation that did.
    if error.name == outlook.INSTALL_FAILED and certificate.undelivered and certificate.state in GOOD_STATES:
        return (
            "The new certificate is in place; once the cause is gone, "
            f"'acmectl renew {certificate.name}' or the next run of acme-renew.timer delivers it."
        )
    if is_transient(error.name) or is_limit(error.name) or certificate.state in GOOD_STATES:
        hint += "\n" + outlook.promise(certificate, now, at_once=not is_limit(error.name))
    return hint.strip()
