# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed does next with a certificate by itself, as far as its properties tell."""

from acmed.ctl import times
from acmed.ctl.records import Certificate

INSTALL_FAILED = "org.acmed1.Error.InstallFailed"
NOT_ISSUED = "org.acmed1.Error.NotIssued"
_OF_FILES = ("deliver", "restore")
_NOW = "now"


def is_left_alone(certificate: Certificate) -> bool:
    """Whether it is revoked, and nothing is ordered in its place without being asked for."""
    return certificate.state == "revoked" and not certificate.endangered


def is_lost(certificate: Certificate) -> bool:
    """Whether its files could not be put back, and another one is ordered."""
    error = certificate.error
    return error is not None and (certificate.error_job, error.name) == ("restore", NOT_ISSUED)


def is_unseen(certificate: Certificate) -> bool:
    """Whether acmed cannot read what is installed: that is no job's error."""
    error = certificate.error
    found = error is not None and error.name == INSTALL_FAILED and not certificate.error_job
    return found and certificate.state == "failing" and not certificate.not_after


def tries_again(certificate: Certificate) -> bool:
    """Whether an order that failed is tried again without being asked for."""
    wanted = bool(certificate.account) and not is_left_alone(certificate) and certificate.state != "valid"
    return wanted and bool(certificate.failures)


def promise(certificate: Certificate, now: float, at_once: bool = True) -> str:
    """Whether what failed is tried again without being asked for, and when; empty where nothing is left to do. at_once:
    whether asking for it may help.
    """
    if certificate.error_job in _OF_FILES:
        if certificate.damaged or certificate.undelivered:
            return "acmed tries again by itself at the next run of acme-renew.timer."
        if not tries_again(certificate):
            return ""
    if not tries_again(certificate):
        again = f"'acmectl renew {certificate.name} --force' does" if at_once else "run it again then"
        return f"acmed does not try that again by itself: {again}."
    waits = certificate.retry_at > now * 1_000_000
    when = times.with_relative(certificate.retry_at, now) if waits else "the next run of acme-renew.timer"
    text = f"acmed tries again by itself at {when}"
    return f"{text}; 'acmectl renew {certificate.name}' tries at once." if at_once else f"{text}."


def how_to_replace(certificate: Certificate) -> str:
    """What orders another one in the place of one that is left alone."""
    name, kinds = certificate.name, [kind for kind, _ in certificate.paths]
    if "privkey" not in kinds:
        return f"Make a CSR with another key; 'acmectl order --name {name} --csr FILE' orders another one with that."
    return (
        f"'acmectl renew {name}' orders another one. Where its key is provided (key-file), put another one there first."
    )


def next_renewal(certificate: Certificate, now: float) -> str:
    """For a column: a time, "now", or "-" where nothing is ordered by itself. now: seconds since the epoch."""
    moment = _next(certificate, now)
    return "-" if moment is None else times.local(moment) if moment else _NOW


def next_renewal_in_words(certificate: Certificate, now: float) -> str:
    """The same, and why there is none."""
    moment = _next(certificate, now)
    if moment:
        return times.with_relative(moment, now)
    if moment is not None:
        return f"{_NOW}, by the next run of acme-renew.timer"
    if is_left_alone(certificate):
        return "none, as it is revoked and is not to be replaced by itself"
    if is_unseen(certificate):
        return "none, as long as acmed cannot read what is installed"
    return "none, as long as its configuration is broken or cannot be read"


def _next(certificate: Certificate, now: float) -> int | None:
    """Microseconds since the epoch; 0 for now, None for never."""
    if is_left_alone(certificate) or is_unseen(certificate) or not certificate.account:
        return None
    current = int(now * 1_000_000)
    moment = current if _is_due(certificate, current) else certificate.renew_at
    moment = max(moment, certificate.retry_at)
    return moment if moment > current else 0


def _is_due(certificate: Certificate, now: int) -> bool:
    """Damaged files are put back, and are due for that alone."""
    if not certificate.not_after or certificate.renew_at <= now or certificate.differences:
        return True
    if certificate.state == "due":
        return not certificate.damaged or is_lost(certificate)
    return certificate.state == "revoked" or tries_again(certificate)
