# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a certificate has to be, to stand in a chain at some moment, above another one (RFC 5280 section 6.1)."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from acmed.verify import extensions, signature

# An order is begun by a clock that is an hour behind (acmed/manager/ways/skew.py). Who uses the certificate mostly has
# another one, by which it is valid.
_CLOCK_SKEW = timedelta(minutes=65)


class InvalidChain(Exception):
    """The message says in one line what is wrong."""


def check_validity(certificate: x509.Certificate, now: datetime) -> None:
    """Raises InvalidChain, as the others do."""
    begin, end = moment(certificate, "not_valid_before"), moment(certificate, "not_valid_after")
    if begin > now + _CLOCK_SKEW:
        raise InvalidChain(f"is not valid before {begin:%Y-%m-%d %H:%M:%S} UTC; is this host's clock right?")
    if end <= now:
        raise InvalidChain(f"expired at {end:%Y-%m-%d %H:%M:%S} UTC; is this host's clock right?")


def check_authority(issuer: x509.Certificate, below: int) -> None:
    """below: how many CA certificates stand between this one and the leaf (RFC 5280 section 4.2.1.9)."""
    constraints = extensions.find(issuer.extensions, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise InvalidChain("is not a CA's, and may not have signed the one before it")
    if constraints.path_length is not None and constraints.path_length < below:
        raise InvalidChain(f"allows {constraints.path_length} CA certificates below it; here are {below}")
    usage = extensions.find(issuer.extensions, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        raise InvalidChain("may not sign certificates (key usage)")


def check_link(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Whether the one was issued by the other."""
    if certificate.issuer != issuer.subject:
        raise InvalidChain("is not the issuer that the one before it names")
    try:
        signature.verify(certificate, issuer)
    except InvalidSignature as error:
        raise InvalidChain("did not sign the one before it") from error
    except signature.Unacceptable as error:
        raise InvalidChain(str(error)) from error


def moment(certificate: x509.Certificate, name: str) -> datetime:
    """not_valid_before or not_valid_after, in UTC: version 42 has them aware, as NAME_utc; 38 has them naive."""
    aware = getattr(certificate, f"{name}_utc", None)
    found: datetime = aware if aware is not None else getattr(certificate, name).replace(tzinfo=UTC)
    return found
