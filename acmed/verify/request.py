# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CSR asks for (RFC 2986) that was made elsewhere. A pure function over its bytes.

What CAs refuse is refused here, before an order is made: it would fail at its very end.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmed.names import Identifier, InvalidName
from acmed.verify import extensions
from acmed.verify.signature import SHORTEST_RSA

MAX_REQUEST_BYTES = 64 * 1024
MAX_NAMES = 100

_LONGEST_RSA = 4096  # bits
_SIGNATURES = (
    x509.SignatureAlgorithmOID.RSA_WITH_SHA256,
    x509.SignatureAlgorithmOID.RSA_WITH_SHA384,
    x509.SignatureAlgorithmOID.RSA_WITH_SHA512,
    x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    x509.SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    x509.SignatureAlgorithmOID.ECDSA_WITH_SHA512,
)
_EXTENSION_REQUESTS = (
    x509.ObjectIdentifier("1.2.840.113549.1.9.14"),  # PKCS#9, RFC 2985 section 5.4.2
    x509.ObjectIdentifier("1.3.6.1.4.1.311.2.1.14"),  # Microsoft's
)
_CURVES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384", "secp521r1": "ecdsa-p521"}


class InvalidRequest(Exception):
    """The message says in one line what is wrong, beginning with a verb."""


@dataclass(frozen=True)
class Wanted:
    """identifiers in their order. public_key: DER SubjectPublicKeyInfo. key_type: as in acmed.toml(5), or like it."""

    identifiers: tuple[Identifier, ...]
    public_key: bytes
    key_type: str
    must_staple: bool


def read_request(der: bytes) -> Wanted:
    """Raises InvalidRequest."""
    if len(der) > MAX_REQUEST_BYTES:
        raise InvalidRequest(f"has {len(der)} bytes; allowed are {MAX_REQUEST_BYTES}")
    try:
        csr = x509.load_der_x509_csr(der)
        if csr.public_bytes(Encoding.DER) != der:
            raise InvalidRequest("has more in it than a request")
        _check_attributes(csr)
        key_type = _key_type(csr)
        _check_signature(csr)
        return Wanted(
            _identifiers(csr),
            csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            key_type,
            extensions.must_staple(csr.extensions),
        )
    except InvalidRequest:
        raise
    except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
        raise InvalidRequest(f"cannot be read ({type(error).__name__})") from error


def _check_attributes(csr: x509.CertificateSigningRequest) -> None:
    """Parsers differ in which one they believe, where the extensions are asked for twice, or in Microsoft's way."""
    asking = [attribute.oid for attribute in csr.attributes if attribute.oid in _EXTENSION_REQUESTS]
    if asking not in ([], [_EXTENSION_REQUESTS[0]]):
        raise InvalidRequest("asks for extensions more than once, or not as PKCS#9 has it")


def _key_type(csr: x509.CertificateSigningRequest) -> str:
    key = csr.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if not SHORTEST_RSA <= key.key_size <= _LONGEST_RSA:
            raise InvalidRequest(f"has an RSA key of {key.key_size} bits; allowed are {SHORTEST_RSA} to {_LONGEST_RSA}")
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    raise InvalidRequest("has a key that is neither RSA nor ECDSA on P-256, P-384 or P-521")


def _check_signature(csr: x509.CertificateSigningRequest) -> None:
    if csr.signature_algorithm_oid not in _SIGNATURES:
        raise InvalidRequest("is signed with a weak or unknown hash, or in a way that CAs do not accept")
    if not csr.is_signature_valid:
        raise InvalidRequest("is not signed by its own key")


def _identifiers(csr: x509.CertificateSigningRequest) -> tuple[Identifier, ...]:
    """The subject alternative names, and the common name: CAs take that for one, too (RFC 8555 section 7.4)."""
    found: dict[Identifier, None] = {}
    for name in extensions.find(csr.extensions, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName):
            found[_dns(name.value, "name")] = None
        elif isinstance(name, x509.IPAddress) and isinstance(name.value, IPv4Address | IPv6Address):
            found[Identifier("ip", str(name.value))] = None
        else:
            raise InvalidRequest(f"has a subject alternative name of another type ({type(name).__name__})")
    for attribute in csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        found[_common_name(str(attribute.value))] = None
    if not 1 <= len(found) <= MAX_NAMES:
        raise InvalidRequest(f"has {len(found)} names; a certificate has at least 1 and at most {MAX_NAMES}")
    return tuple(found)


def _common_name(text: str) -> Identifier:
    try:
        identifier = Identifier.parse(text)
    except InvalidName:
        identifier = None
    if identifier is not None and identifier.type == "ip":
        return identifier
    return _dns(text, "common name")


def _dns(text: str, what: str) -> Identifier:
    """A DNS name as the CA reads it, which takes it byte by byte."""
    try:
        identifier = Identifier.parse(text)
    except InvalidName as error:
        raise InvalidRequest(f"has a {what} that no CA issues for: {error}") from error
    if identifier != Identifier("dns", text.lower()):
        rather = "an address" if identifier.type == "ip" else repr(identifier.value)
        raise InvalidRequest(f"has the {what} {text!r}, which must be written as {rather}")
    return identifier
