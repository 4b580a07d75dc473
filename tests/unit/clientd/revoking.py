# SPDX-License-Identifier: LGPL-2.1-or-later
"""A CA that answers for what it has issued: OCSP responses and CRLs, good ones and all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Key = ec.EllipticCurvePrivateKey
Extensions = Sequence[tuple[x509.ExtensionType, bool]]
OCSP_SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def usage(**allowed: bool) -> tuple[x509.KeyUsage, bool]:
    words = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    ).split()
    return x509.KeyUsage(**{word: allowed.get(word, False) for word in words}), True


@dataclass(frozen=True)
class Signer:
    """Whoever signs: a CA, or a responder of one."""

    certificate: x509.Certificate
    key: Key


def authority(name: str = "A CA", *extensions: tuple[x509.ExtensionType, bool]) -> "Authority":
    """A CA, whose certificate it has issued itself."""
    key, given = new_key(), extensions or (usage(key_cert_sign=True, crl_sign=True),)
    extensions = ((x509.BasicConstraints(ca=True, path_length=None), True), *given)
    return Authority(_issue(name, key, name, key, extensions), key)


@dataclass(frozen=True)
class Authority(Signer):
    """A CA."""

    def leaf(self, responders: Sequence[str] = (), lists: Sequence[str] = (), **more: Any) -> x509.Certificate:
        """A server's certificate that names these URLs."""
        extensions: list[tuple[x509.ExtensionType, bool]] = []
        if responders:
            method = AuthorityInformationAccessOID.OCSP
            places = [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for url in responders]
            extensions.append((x509.AuthorityInformationAccess(places), False))
        if lists:
            names = [x509.UniformResourceIdentifier(url) for url in lists]
            point = x509.DistributionPoint(names, None, more.get("reasons"), more.get("crl_issuer"))
            extensions.append((x509.CRLDistributionPoints([point]), False))
        return self.issue("www.example.com", new_key(), extensions)

    def responder(self, *extensions: tuple[x509.ExtensionType, bool], **times: Any) -> Signer:
        key = new_key()
        return Signer(self.issue("A responder", key, extensions, **times), key)

    def issue(self, name: str, key: Key, extensions: Extensions, **times: Any) -> x509.Certificate:
        subject = self.certificate.subject.rfc4514_string().removeprefix("CN=")
        return _issue(name, key, subject, self.key, extensions, **times)

    def chain(self, leaf: x509.Certificate) -> str:
        return "".join(one.public_bytes(Encoding.PEM).decode() for one in (leaf, self.certificate))

    def question(self, leaf: x509.Certificate) -> ocsp.OCSPRequest:
        return ocsp.OCSPRequestBuilder().add_certificate(leaf, self.certificate, hashes.SHA1()).build()

    def response(
        self,
        leaf: x509.Certificate,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        signer: Signer | None = None,
        this_update: datetime = NOW - HOUR,
        next_update: datetime | None = NOW + 3 * DAY,
        revoked_at: datetime | None = None,
        reason: x509.ReasonFlags | None = None,
        by: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH,
        issuer: x509.Certificate | None = None,
        algorithm: hashes.HashAlgorithm | None = None,
        shown: Sequence[x509.Certificate] | None = None,
        signed_with: hashes.HashAlgorithm | None = None,
    ) -> bytes:
        """Signed by the CA itself unless another signer is given. shown: the certificates in it, else the signer's."""
        used = signer or self
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                leaf,
                issuer or self.certificate,
                algorithm or hashes.SHA1(),
                status,
                _naive(this_update),
                next_update and _naive(next_update),
                _naive(revoked_at or NOW - HOUR) if revoked else None,
                reason,
            )
            .responder_id(by, used.certificate)
        )
        if signer and shown != ():
            builder = builder.certificates(list(shown or [signer.certificate]))
        return builder.sign(used.key, signed_with or hashes.SHA256()).public_bytes(Encoding.DER)

    def crl(
        self,
        revoked: Mapping[int, x509.ReasonFlags | None] | None = None,
        name: x509.Name | None = None,
        key: Key | None = None,
        this_update: datetime = NOW - HOUR,
        next_update: datetime = NOW + 3 * DAY,
        extensions: Extensions = (),
    ) -> bytes:
        """revoked: serial numbers, and why."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name or self.certificate.subject)
            .last_update(_naive(this_update))
            .next_update(_naive(next_update))
            .add_extension(x509.CRLNumber(7), False)
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        for serial, reason in (revoked or {}).items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_naive(NOW - HOUR))
            if reason:
                entry = entry.add_extension(x509.CRLReason(reason), False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _issue(
    name: str,
    key: Key,
    issuer: str,
    issuer_key: Key,
    extensions: Extensions,
    begin: datetime = NOW - DAY,
    end: datetime = NOW + 30 * DAY,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_naive(begin))
        .not_valid_after(_naive(end))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _naive(moment: datetime) -> datetime:
    """As version 38 of cryptography wants it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
