# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is this chain what was ordered? A pure function over the bytes that a CA sent.

It asks whether what is installed would work, and is what root asked for. Whether the CA is trusted, it asks where root
says by which certificates; else that is for the TLS connection to the CA's directory, and for the service's clients.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmed import journal, pem
from acmed.certid import certificate_id
from acmed.names import Identifier
from acmed.verify import anchors, extensions, links
from acmed.verify.links import InvalidChain

MAX_CERTIFICATES = 10
MAX_CERTIFICATE_BYTES = 16 * 1024
MAX_CHAIN_BYTES = 64 * 1024

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
    chain: str,
    public_key: bytes,
    identifiers: frozenset[Identifier],
    must_staple: bool,
    now: datetime,
    trusted: Sequence[bytes] | None = None,
) -> Verified:
    """Holds a PEM chain, leaf first, against the DER SubjectPublicKeyInfo, the identifiers, and whether RFC 7633's
    extension was asked for. trusted: certificates (DER), to one of which it is to lead. Raises InvalidChain, or
    anchors.Untrusted where that alone is wrong with it.
    """
    certificates = _parse(chain)
    leaf = certificates[0]
    with _reading("certificate 1"):
        _check_leaf(leaf, public_key, identifiers)
        _check_staple(leaf, must_staple)
    for number, certificate in enumerate(certificates, 1):
        with _reading(f"certificate {number}"):
            links.check_validity(certificate, now)
    for number, (certificate, issuer) in enumerate(pairwise(certificates), 2):
        with _reading(f"certificate {number}"):
            links.check_authority(issuer, below=number - 2)
            links.check_link(certificate, issuer)
    with _reading("certificate 1"):
        verified = Verified(
            certificates=tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates),
            serial_number=_serial(leaf),
            issuer=journal.printable(leaf.issuer.rfc4514_string()),
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            cert_id=certificate_id(leaf),
            not_before=_microseconds(links.moment(leaf, "not_valid_before")),
            not_after=_microseconds(links.moment(leaf, "not_valid_after")),
        )
    if trusted is not None:
        anchors.check(certificates, trusted, now)
    return verified


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
    lifetime = links.moment(leaf, "not_valid_after") - links.moment(leaf, "not_valid_before")
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


def _serial(leaf: x509.Certificate) -> str:
    number = leaf.serial_number
    if number <= 0 or number.bit_length() > _MAX_SERIAL_BITS:
        raise InvalidChain("has a serial number that RFC 5280 does not allow")
    digits = f"{number:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
