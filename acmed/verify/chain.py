# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is this chain what was ordered? A pure function over the bytes that a CA sent.

It does not ask whether the CA is trusted: that is for the TLS connection to the CA's directory, and for the
service's clients. It asks whether what is installed would work, and is what root asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmed import journal, pem
from acmed.names import Identifier

MAX_CERTIFICATES = 10
MAX_CERTIFICATE_BYTES = 16 * 1024
MAX_CHAIN_BYTES = 64 * 1024

_CLOCK_SKEW = timedelta(minutes=5)
_LONGEST_LIFETIME = timedelta(days=3653)
_SHORTEST_RSA = 2048  # bits
_MAX_SERIAL_BITS = 168  # 20 octets (RFC 5280 section 4.1.2.2) and a sign
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STRONG_HASHES: tuple[type[hashes.HashAlgorithm], ...] = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
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
_RSASSA_PSS = x509.ObjectIdentifier("1.2.840.113549.1.1.10")

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class InvalidChain(Exception):
    """The message says in one line what is wrong."""


@dataclass(frozen=True)
class Verified:
    """certificates: DER, leaf first. serial_number and fingerprint (SHA-256): hexadecimal. Times: usec since 1970."""

    certificates: tuple[bytes, ...]
    serial_number: str
    issuer: str
    fingerprint: str
    not_before: int
    not_after: int


def verify_chain(chain: str, public_key: bytes, identifiers: frozenset[Identifier], now: datetime) -> Verified:
    """Holds a PEM chain, leaf first, against the DER SubjectPublicKeyInfo and the identifiers. Raises InvalidChain."""
    certificates = _parse(chain)
    leaf = certificates[0]
    with _reading("certificate 1"):
        _check_leaf(leaf, public_key, identifiers)
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
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints and constraints.ca:
        raise InvalidChain("is a CA's, not a server's")
    for extension in leaf.extensions:
        if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
            raise InvalidChain(f"has a critical extension that clients do not know ({extension.oid.dotted_string})")
    lifetime = _moment(leaf, "not_valid_after") - _moment(leaf, "not_valid_before")
    if not timedelta(0) < lifetime <= _LONGEST_LIFETIME:
        raise InvalidChain(f"has a lifetime of {lifetime.days} days")


def _identifiers(leaf: x509.Certificate) -> frozenset[Identifier]:
    names = _extension(leaf, x509.SubjectAlternativeName)
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
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise InvalidChain("is not a CA's, and may not have signed the one before it")
    if constraints.path_length is not None and constraints.path_length < below:
        raise InvalidChain(f"allows {constraints.path_length} CA certificates below it; here are {below}")
    usage = _extension(issuer, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        raise InvalidChain("may not sign certificates (key usage)")


def _check_link(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    if certificate.issuer != issuer.subject:
        raise InvalidChain("is not the issuer that the one before it names")
    try:
        _verify_signature(certificate, issuer)
    except InvalidSignature as error:
        raise InvalidChain("did not sign the one before it") from error


def _verify_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raises InvalidSignature. cryptography's own verify_directly_issued_by() is not there before version 40."""
    key = issuer.public_key()
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(_hash(certificate)))
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SHORTEST_RSA:
            raise InvalidChain(f"has an RSA key of {key.key_size} bits; at least {_SHORTEST_RSA} are required")
        if certificate.signature_algorithm_oid == _RSASSA_PSS:
            _verify_pss(key, signature, signed)
        else:
            key.verify(signature, signed, padding.PKCS1v15(), _hash(certificate))
    else:
        raise InvalidChain("has a key of a kind that is not supported")


def _verify_pss(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> None:
    """With each hash in turn: before version 41, cryptography does not tell which one the certificate names."""
    for algorithm in _STRONG_HASHES:
        try:
            key.verify(signature, signed, padding.PSS(padding.MGF1(algorithm()), padding.PSS.AUTO), algorithm())
        except InvalidSignature:
            continue
        return
    raise InvalidSignature


def _hash(certificate: x509.Certificate) -> hashes.HashAlgorithm:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if not isinstance(algorithm, _STRONG_HASHES):
        raise InvalidChain("signed the one before it with a weak or unknown hash")
    return algorithm


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _serial(leaf: x509.Certificate) -> str:
    number = leaf.serial_number
    if number <= 0 or number.bit_length() > _MAX_SERIAL_BITS:
        raise InvalidChain("has a serial number that RFC 5280 does not allow")
    digits = f"{number:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _moment(certificate: x509.Certificate, name: str) -> datetime:
    """not_valid_before or not_valid_after, in UTC: version 42 has them aware, as NAME_utc; 38 has them naive."""
    aware = getattr(certificate, f"{name}_utc", None)
    moment: datetime = aware if aware is not None else getattr(certificate, name).replace(tzinfo=UTC)
    return moment


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
