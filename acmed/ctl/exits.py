# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exit codes, and which D-Bus error leads to which. acmectl(1) has the same table."""

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What acmectl exits with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_AUTHORISED = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    NOT_NOW = 6
    RATE_LIMITED = 7
    UNDELIVERED = 8
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class CommandError(Exception):
    """A command cannot go on: what is wrong, what to do about it (or nothing), and the exit code."""

    def __init__(self, exit_code: Exit, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
        self.hint = hint


_DBUS = "org.freedesktop.DBus.Error."
_OWN = "org.acmed1.Error."
_BY_NAME = {
    _DBUS + "AccessDenied": Exit.NOT_AUTHORISED,
    _DBUS + "AuthFailed": Exit.NOT_AUTHORISED,
    _DBUS + "InteractiveAuthorizationRequired": Exit.NOT_AUTHORISED,
    _OWN + "PolicyViolation": Exit.NOT_AUTHORISED,
    _DBUS + "InvalidArgs": Exit.USAGE,
    _OWN + "InvalidName": Exit.USAGE,
    _OWN + "NoSuchCertificate": Exit.NOT_FOUND,
    _OWN + "NoSuchAccount": Exit.NOT_FOUND,
    _OWN + "NoSuchJob": Exit.NOT_FOUND,
    _DBUS + "UnknownObject": Exit.NOT_FOUND,
    _DBUS + "ServiceUnknown": Exit.UNREACHABLE,
    _DBUS + "NameHasNoOwner": Exit.UNREACHABLE,
    _DBUS + "NoServer": Exit.UNREACHABLE,
    _DBUS + "NoReply": Exit.UNREACHABLE,
    _DBUS + "Timeout": Exit.UNREACHABLE,
    _DBUS + "TimedOut": Exit.UNREACHABLE,
    _DBUS + "Disconnected": Exit.UNREACHABLE,
    _DBUS + "LimitsExceeded": Exit.NOT_NOW,
    _OWN + "AccountExists": Exit.NOT_NOW,
    _OWN + "Busy": Exit.NOT_NOW,
    _OWN + "CertificateExists": Exit.NOT_NOW,
    _OWN + "NotDue": Exit.NOT_NOW,
    _OWN + "NotIssued": Exit.NOT_NOW,
    _OWN + "RateLimited": Exit.RATE_LIMITED,
    "org.acmed1.AcmeError.rateLimited": Exit.RATE_LIMITED,
}
# What the bus answers when systemd could not start acmed.
_ACTIVATION = (_DBUS + "Spawn.", "org.freedesktop.systemd1.")


def for_error(name: str) -> Exit:
    """The exit code for a D-Bus error of this name."""
    if name.startswith(_ACTIVATION):
        return Exit.UNREACHABLE
    return _BY_NAME.get(name, Exit.FAILED)


def together(codes: Iterable[Exit]) -> Exit:
    """The exit code of several jobs: DONE when all are, the code that all others share, or else FAILED."""
    bad = {code for code in codes if code is not Exit.DONE}
    if not bad:
        return Exit.DONE
    return bad.pop() if len(bad) == 1 else Exit.FAILED
