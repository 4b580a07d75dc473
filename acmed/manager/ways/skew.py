# SPDX-License-Identifier: LGPL-2.1-or-later
"""What it means for an order that this host's clock is not that of the CA."""

_SMALL = 60  # seconds, which nobody is told of
_HOUR, _DAY = 3600, 86400


def judged(offset: int, lifetime: int | None) -> tuple[str, str]:
    """Severity and message. offset: seconds that the CA's clock is ahead. lifetime: of what is installed, in seconds.

    It is an error where an order would be in vain or too much, and not before: who orders nothing has no certificate in
    the end. A clock that is behind sees certificates which are not valid yet: up to an hour, acme-verify takes them
    (acmed/verify/links.py), and many CAs date them back by as much. By one that is ahead they are renewed so much too
    early, and those that live for days would be due as soon as they are there.
    """
    if abs(offset) <= _SMALL:
        return "ok", f"this host's clock and that of the CA differ by {abs(offset)} s"
    if offset > 0:
        way, why = "behind", "what is issued would not be valid here yet" if offset > _HOUR else ""
    else:
        too_much = _DAY if lifetime is None else min(_DAY, lifetime // 4)
        way, why = "ahead of", "certificates would be renewed far too early" if -offset > too_much else ""
    message = f"this host's clock is {abs(offset)} s {way} that of the CA{': ' if why else ''}{why}; see 'timedatectl'"
    return "error" if why else "warning", message
