# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a person writes on the command line, checked: argparse's types. Each raises ArgumentTypeError."""

from argparse import ArgumentTypeError

from acmed.names import Identifier, InvalidName, default_certificate_name, object_name

# As in acmed.config.model, which takes too long to load for a command line.
KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096")
DIRECTORIES = ("letsencrypt", "letsencrypt-staging")
# RFC 5280 section 5.3.1, those that a subscriber may give.
REASONS = {
    "unspecified": 0,
    "keyCompromise": 1,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
}
_JOB_MAX = 2**64 - 1


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


def job(text: str) -> int:
    """A job's number."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:21]) <= _JOB_MAX:
        raise ArgumentTypeError(f"{text!r} is not the number of a job: 'acmectl jobs' shows them")
    return int(text)


def order_name(given: str | None, identifiers: list[Identifier]) -> str:
    """The name of the certificate to order: what was given, or else its first identifier. One of them must be there."""
    return name(given if given is not None else default_certificate_name(identifiers[0]))
