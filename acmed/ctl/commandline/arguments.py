# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a person writes on the command line, checked: argparse's types. Each raises ArgumentTypeError."""

import re
import time
from argparse import ArgumentTypeError
from datetime import datetime

from acmed import reasons
from acmed.names import Identifier, InvalidName, default_certificate_name, object_name

# As in acmed.config.model, which takes too long to load for a command line.
KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096")
ACCOUNT_KEY_TYPES = (*KEY_TYPES[:2], "ecdsa-p521", *KEY_TYPES[2:], "ed25519")
CHALLENGES = ("http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01", "none")
EAB_ALGORITHMS = ("HS256", "HS384", "HS512")
DIRECTORIES = ("letsencrypt", "letsencrypt-staging")
REASONS = {word: number for number, word in reasons.REASONS.items()}
_JOB_MAX = 2**64 - 1
_DAYS_MAX = 36500
_HOURS_MAX = 48
_COUNT_MAX = 100_000
_AGO = re.compile(r"([0-9]{1,9})(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def name(text: str) -> str:
    """The name of a certificate, an account or a service."""
    try:
        return object_name(text)
    except InvalidName as error:
        raise ArgumentTypeError(str(error)) from None


def identifier(text: str) -> Identifier:
    """A DNS name, also a wildcard or one in Unicode, or an IP address."""
    try:
        return Identifier.parse(text)
    except InvalidName as error:
        raise ArgumentTypeError(str(error)) from None


def contact(text: str) -> str:
    """A mail address, or a mailto: URL (RFC 6068), as a URL."""
    address = text.removeprefix("mailto:")
    local, at, domain = address.rpartition("@")
    clean = address.isascii() and address.isprintable() and not set(address) & set(" <>?,")
    if not (local and at and domain and clean):
        raise ArgumentTypeError(f"{text!r} is not a mail address")
    return f"mailto:{address}"


def directory(text: str) -> str:
    """The URL of a CA's directory; a word of model.DIRECTORIES stands for its CA's."""
    from acmed.config import model  # noqa: PLC0415  slow to load, and one command needs it

    url = model.DIRECTORIES.get(text, text)
    try:
        model.origin(url)
    except ValueError:
        known = ", ".join(model.DIRECTORIES)
        raise ArgumentTypeError(f"{text!r} is neither an https URL nor one of {known}") from None
    return url


def reason(text: str) -> int:
    """A reason's number, from its name or itself."""
    numbers = {word.lower(): number for word, number in REASONS.items()}
    numbers |= {str(number): number for number in REASONS.values()}
    try:
        return numbers[text.lower()]
    except KeyError:
        known = ", ".join(f"{word} ({number})" for word, number in REASONS.items())
        raise ArgumentTypeError(f"{text!r} is not a reason that a CA accepts; these are: {known}") from None


def moment(text: str) -> float:
    """A moment in seconds since the epoch: a local date and time, or so long ago."""
    found = _AGO.fullmatch(text)
    if found:
        return time.time() - int(found[1]) * _SECONDS[found[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r} is neither a date and time, such as '2026-02-19 08:00', nor so long ago, such as 30min or 7d"
        ) from None


def count(text: str) -> int:
    """How many."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= _COUNT_MAX:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {_COUNT_MAX}")
    return int(text)


def days(text: str) -> int:
    """A number of days."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) <= _DAYS_MAX:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {_DAYS_MAX}")
    return int(text)


def hours(text: str) -> int:
    """A number of hours."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) <= _HOURS_MAX:
        raise ArgumentTypeError(f"{text!r} is not a number of hours from 1 to {_HOURS_MAX}")
    return int(text)


def days_left(text: str) -> int:
    """A number of days, or none."""
    if text.startswith("-") and text[1:].isdigit():
        raise ArgumentTypeError(f"{text!r} is not a number of days: --force renews at any time")
    return 0 if text.isascii() and text.isdigit() and not text.strip("0") else days(text)


def job(text: str) -> int:
    """A job's number."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:21]) <= _JOB_MAX:
        raise ArgumentTypeError(f"{text!r} is not the number of a job: 'acmectl jobs' shows them")
    return int(text)


def order_name(given: str | None, identifiers: list[Identifier]) -> str:
    """The name of the certificate to order: what was given, or else its first identifier. One of them must be there."""
    return name(given if given is not None else default_certificate_name(identifiers[0]))
