# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is this chain what was ordered? A pure function over the bytes that a CA sent.

It does not ask whether the CA is trusted: that is for the TLS connection to the CA's directory, and for the
service's clients. It asks whether what is installed would work, and is what root asked for.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmed import journal, pem
from acmed.names import Identifier
from acmed.verify import extensions, signature

MAX_CERTIFICATES = 10
MAX_CERTIFICATE_BYTES = 16 * 1024
MAX_CHAIN_BYTES = 64 * 1024

_CLOCK_SKEW = timedelta(minutes=5)
_LONGEST_LIFETIME = timedelta(days=3653)
_MAX_SERIAL_BITS = 168  # 20 octets (RFC 5280 section 4.1.2.2) and a sign
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What RFC 5280 has for a server's certificate, and TLS Feature (RFC 7633). A client refuses a certificate that has a
# critical extension that it does not know; a precertificate, which is public, is told by such a one (RFC 6962).
_KNOWN_EXTENSIONS = (
    x509.BasicConstraints.oid,
    x509.CertificatePolicies.oid,
    x509.ExtendedKeyUsage.oid,
    x509.KeyUsage.oid,
    x509.SubjectAlternativeName.oid,
    x509.TLSFeature.oid,
)


class InvalidChain(Exception):
    """The message says in one line what is wrong."""


@dataclass(frozen=True)
class Verified:
    """certificates: DER, leaf first. serial_number and fingerprint (SHA-256): hexadecimal. Times: usec since 1970.

    cert_id: RFC 9773 section 4.1, None where the leaf does not say by which key it was signed.
    """

    certificates: tuple[bytes, ...]
    serial_number: str
    issuer: str
    fingerprint: str
    cert_id: str | None
    not_before: int
    not_after: int


def verify_chain(
    chain: str, public_key: bytes, identifiers: frozenset[Identifier], must_staple: bool, now: datetime
) -> Verified:
    """Holds a PEM chain, leaf first, against the DER SubjectPublicKeyInfo, the identifiers, and whether RFC 7633's
    extension was asked for. Raises InvalidChain.
    """
    certificates = _parse(chain)
    leaf = certificates[0]
    with _reading("certificate 1"):
        _check_leaf(leaf, public_key, identifiers)
        _check_staple(leaf, must_staple)
    for number, certificate in enumerate(certificates, 1):
        with _reading(f"certificate {number}"):
            _check_validity(certificate, now)
    for number, (certificate, issuer) in enumerate(pairwise(certificates), 2):
        with _reading(f"certificate {number}"):
            _check_authority(issuer, below=number - 2)
            _check_link(certificate, issuer)
    with _reading("certificate 1"):
        return Verified(
            certificates=tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates),
            serial_number=_serial(leaf),
            issuer=journal.printable(leaf.issuer.rfc4514_string()),
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            cert_id=_cert_id(leaf),
            not_before=_microseconds(_moment(leaf, "not_valid_before")),
            not_after=_microseconds(_moment(leaf, "not_valid_after")),
        )


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Names the certificate in each refusal, and makes one of what cryptography raises for a malformed one."""
    try:
        yield
    except InvalidChain as error:
        raise InvalidChain(f"{what} {error}") from error
    except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
        raise InvalidChain(f"{what} cannot be read ({type(error).__name__})") from error


def _parse(chain: str) -> list[x509.Certificate]:
    if len(chain) > MAX_CHAIN_BYTES:
        raise InvalidChain(f"the chain has {len(chain)} bytes; allowed are {MAX_CHAIN_BYTES}")
    try:
        blocks = pem.certificates(chain, MAX_CERTIFICATES, MAX_CERTIFICATE_BYTES)
    except pem.NotCertificates as error:
        raise InvalidChain(str(error)) from error
    certificates = []
    for number, der in enumerate(blocks, 1):
        with _reading(f"certificate {number}"):
            certificate = x509.load_der_x509_certificate(der)
            if certificate.public_bytes(Encoding.DER) != der:
                raise InvalidChain("has more in it than a certificate")
            certificates.append(certificate)
    return certificates


def _check_leaf(leaf: x509.Certificate, public_key: bytes, identifiers: frozenset[Identifier]) -> None:
    key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key != public_key:
        raise InvalidChain("is for another key than the one it was ordered for")
    named = _identifiers(leaf)
    if named != identifiers:
        missing, extra = (", ".join(sorted(map(str, names))) for names in (identifiers - named, named - identifiers))
        raise InvalidChain(f"names not what was ordered: missing are ({missing}), not ordered are ({extra})")
    constraints = extensions.find(leaf.extensions, x509.BasicConstraints)
    if constraints and constraints.ca:
        raise InvalidChain("is a CA's, not a server's")
    for extension in leaf.extensions:
        if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
            raise InvalidChain(f"has a critical extension that clients do not know ({extension.oid.dotted_string})")
    lifetime = _moment(leaf, "not_valid_after") - _moment(leaf, "not_valid_before")
    if not timedelta(0) < lifetime <= _LONGEST_LIFETIME:
        raise InvalidChain(f"has a lifetime of {lifetime.days} days")


def _check_staple(leaf: x509.Certificate, wanted: bool) -> None:
    """A service that does not staple would not be reached with it; one that was to be reached so only, is without."""
    found = extensions.must_staple(leaf.extensions)
    if wanted and not found:
        raise InvalidChain("lacks the extension of RFC 7633 (must-staple) that was asked for")
    if found and not wanted:
        raise InvalidChain("has the extension of RFC 7633 (must-staple), which was not asked for")


def _identifiers(leaf: x509.Certificate) -> frozenset[Identifier]:
    names = extensions.find(leaf.extensions, x509.SubjectAlternativeName)
    if names is None:
        raise InvalidChain("has no subject alternative names")
    found = set()
    for name in names:
        if isinstance(name, x509.DNSName):
            found.add(Identifier("dns", name.value.lower()))
        elif isinstance(name, x509.IPAddress):
            found.add(Identifier("ip", str(name.value)))
        else:
            raise InvalidChain(f"has a subject alternative name of another type ({type(name).__name__})")
    return frozenset(found)


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    begin, end = _moment(certificate, "not_valid_before"), _moment(certificate, "not_valid_after")
    if begin > now + _CLOCK_SKEW:
        raise InvalidChain(f"is not valid before {begin:%Y-%m-%d %H:%M:%S} UTC; is this host's clock right?")
    if end <= now:
        raise InvalidChain(f"expired at {end:%Y-%m-%d %H:%M:%S} UTC; is this host's clock right?")


def _check_authority(issuer: x509.Certificate, below: int) -> None:
    """below: how many CA certificates stand between this one and the leaf (RFC 5280 section 4.2.1.9)."""
    constraints = extensions.find(issuer.extensions, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise InvalidChain("is not a CA's, and may not have signed the one before it")
    if constraints.path_length is not None and constraints.path_length < below:
        raise InvalidChain(f"allows {constraints.path_length} CA certificates below it; here are {below}")
    usage = extensions.find(issuer.extensions, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        raise InvalidChain("may not sign certificates (key usage)")


def _check_link(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    if certificate.issuer != issuer.subject:
        raise InvalidChain("is not the issuer that the one before it names")
    try:
        signature.verify(certificate, issuer)
    except InvalidSignature as error:
        raise InvalidChain("did not sign the one before it") from error
    except signature.Unacceptable as error:
        raise InvalidChain(str(error)) from error


def _serial(leaf: x509.Certificate) -> str:
    number = leaf.serial_number
    if number <= 0 or number.bit_length() > _MAX_SERIAL_BITS:
        raise InvalidChain("has a serial number that RFC 5280 does not allow")
    digits = f"{number:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _cert_id(leaf: x509.Certificate) -> str | None:
    """The authority key identifier and the serial number as DER has it: where its first bit is set, a zero stands in
    front (RFC 9773 section 4.1).
    """
    authority = extensions.find(leaf.extensions, x509.AuthorityKeyIdentifier)
    if authority is None or not authority.key_identifier:
        return None
    number = leaf.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return f"{_base64url(authority.key_identifier)}.{_base64url(serial)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _moment(certificate: x509.Certificate, name: str) -> datetime:
    """not_valid_before or not_valid_after, in UTC: version 42 has them aware, as NAME_utc; 38 has them naive."""
    aware = getattr(certificate, f"{name}_utc", None)
    moment: datetime = aware if aware is not None else getattr(certificate, name).replace(tzinfo=UTC)
    return moment


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
