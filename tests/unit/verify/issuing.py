# SPDX-License-Identifier: LGPL-2.1-or-later
"""A CA for tests, that issues anything, right or wrong."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmed import pem
from acmed.names import Identifier

NOW = datetime(2026, 5, 1, tzinfo=UTC)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


def spki(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def alternative_names(*identifiers: Identifier) -> list[x509.GeneralName]:
    return [
        x509.IPAddress(ipaddress.ip_address(one.value)) if one.type == "ip" else x509.DNSName(one.value)
        for one in identifiers
    ]


@dataclass
class Ca:
    """A CA certificate and its key."""

    name: str
    key: PrivateKey
    certificate: x509.Certificate

    @classmethod
    def root(cls, name: str = "Test Root", key: PrivateKey | None = None) -> "Ca":
        own = key or ec.generate_private_key(ec.SECP256R1())
        return cls(name, own, _issue(name, own, _subject(name), own.public_key(), ca=True))

    def intermediate(
        self,
        name: str = "Test Intermediate",
        *,
        ca: bool = True,
        path_length: int | None = None,
        sign_usage: bool = True,
        begin: datetime = NOW - timedelta(days=900),
        end: datetime = NOW + timedelta(days=900),
    ) -> "Ca":
        key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[x509.ExtensionType] = [] if sign_usage else [_usage()]
        certificate = _issue(
            self.name, self.key, _subject(name), key.public_key(), extensions, ca, path_length, begin, end
        )
        return Ca(name, key, certificate)

    def leaf(
        self,
        key: PublicKey,
        names: list[x509.GeneralName],
        *,
        ca: bool | None = None,
        begin: datetime = NOW - timedelta(hours=1),
        end: datetime = NOW + timedelta(days=90),
        algorithm: hashes.HashAlgorithm | None = None,
        serial: int | None = None,
        critical: x509.ExtensionType | None = None,
        more: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        extensions: list[x509.ExtensionType] = [x509.SubjectAlternativeName(names)] if names else []
        extensions += more
        return _issue(
            self.name,
            self.key,
            x509.Name([]),
            key,
            extensions,
            ca,
            None,
            begin,
            end,
            algorithm=algorithm,
            serial=serial,
            critical=critical,
        )


def request(
    key: PrivateKey,
    *identifiers: Identifier,
    names: Sequence[x509.GeneralName] = (),
    common_name: str | None = None,
    more: Sequence[x509.ExtensionType] = (),
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A CSR (DER), right or wrong."""
    subject = x509.Name([]) if common_name is None else _subject(common_name)
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if named := [*alternative_names(*identifiers), *names]:
        builder = builder.add_extension(x509.SubjectAlternativeName(named), critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    without_hash = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if without_hash else algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


def chain(*certificates: x509.Certificate) -> str:
    return "".join(pem.encode(certificate.public_bytes(Encoding.DER)) for certificate in certificates)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, False, True, False, False)


def _issue(
    issuer: str,
    issuer_key: PrivateKey,
    subject: x509.Name,
    key: PublicKey,
    extensions: list[x509.ExtensionType] | None = None,
    ca: bool | None = None,
    path_length: int | None = None,
    begin: datetime = NOW - timedelta(days=1000),
    end: datetime = NOW + timedelta(days=1000),
    algorithm: hashes.HashAlgorithm | None = None,
    serial: int | None = None,
    critical: x509.ExtensionType | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(_subject(issuer))
        .subject_name(subject)
        .public_key(key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension in extensions or []:
        builder = builder.add_extension(extension, critical=False)
    if critical is not None:
        builder = builder.add_extension(critical, critical=True)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    without_hash = isinstance(issuer_key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(issuer_key, None if without_hash else algorithm or hashes.SHA256())
