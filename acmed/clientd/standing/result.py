# SPDX-License-Identifier: LGPL-2.1-or-later
"""What comes of an inquiry, and what OCSP responses and CRLs have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from acmed.verify import signature
from acmed.verify.signature import Signed

_CLOCK_SKEW = timedelta(minutes=5)
# What does not say when it is followed by something newer (RFC 6960 section 2.4) is believed for so long.
_UNTIL_THEN = timedelta(days=1)


class Word(StrEnum):
    """NONE: the certificate names nobody who could be asked."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True)
class Standing:
    """How a certificate stands. reason: a CRLReason (RFC 5280 section 5.3.1), None where none is given. source: the URL
    of who said so. ask_again: when there may be something newer, None for at any time. message: why it is not known.
    """

    word: Word
    source: str = ""
    revoked_at: datetime | None = None
    reason: int | None = None
    ask_again: datetime | None = None
    message: str = ""


class NoAnswer(Exception):
    """What came says nothing about the certificate. The message says in one line why."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Makes NoAnswer of what cryptography raises for something malformed."""
    try:
        yield
    except NoAnswer:
        raise
    except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
        raise NoAnswer(f"{what} cannot be read ({type(error).__name__})") from error


def check_signature(document: Signed, signed: bytes, signer: x509.Certificate) -> None:
    """Raises NoAnswer."""
    try:
        signature.verify_content(document, signed, signer)
    except InvalidSignature as error:
        raise NoAnswer("its signature is wrong") from error
    except signature.Unacceptable as error:
        raise NoAnswer(f"whoever signed it {error}") from error


def check_times(this_update: datetime | None, next_update: datetime | None, now: datetime) -> None:
    """Whether it is of now. Raises NoAnswer."""
    if this_update is None or this_update > now + _CLOCK_SKEW:
        raise NoAnswer(f"it is of {_shown(this_update)}, which is to come; is this host's clock right?")
    end = next_update or this_update + _UNTIL_THEN
    if end <= this_update:
        raise NoAnswer("it ends before it begins")
    if end + _CLOCK_SKEW <= now:
        raise NoAnswer(f"it is of {_shown(this_update)}, and was to be replaced until {_shown(end)}")


def moment(thing: object, name: str) -> datetime | None:
    """One of its times, in UTC: new versions of cryptography have them aware, as NAME_utc; 38 has them naive."""
    if hasattr(type(thing), f"{name}_utc"):
        aware: datetime | None = getattr(thing, f"{name}_utc")
        return aware
    naive: datetime | None = getattr(thing, name)
    return naive.replace(tzinfo=UTC) if naive else None


def _shown(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else "no time"
