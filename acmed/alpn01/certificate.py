# SPDX-License-Identifier: LGPL-2.1-or-later
"""The certificate that answers a challenge (RFC 8737 section 3): signed by itself, with one name and the proof."""

import hashlib
import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acmed.alpn01.pending import Pending
from acmed.names import Identifier

PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # id-pe-acmeIdentifier

_OCTET_STRING = 4  # DER
_MAX_CONTEXTS = 256


class Contexts:
    """What a handshake needs, for each challenge. One key, which lives as long as this process, is in all of them."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._made: dict[Pending, ssl.SSLContext] = {}

    def context(self, pending: Pending) -> ssl.SSLContext:
        """Raises OSError where there is no room for a temporary file, which is how ssl takes certificates."""
        if pending not in self._made:
            if len(self._made) >= _MAX_CONTEXTS:
                self._made.clear()
            self._made[pending] = self._new(pending)
        return self._made[pending]

    def _new(self, pending: Pending) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        context.set_alpn_protocols([PROTOCOL])
        certificate = make(pending.identifier, pending.key_authorization, self._key)
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
            file.write(
                self._key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            file.flush()
            context.load_cert_chain(file.name)
        return context


def make(identifier: Identifier, key_authorization: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Valid from yesterday, as the CA's clock may be slow, to tomorrow."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(identifier)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, proof(key_authorization)), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def proof(key_authorization: str) -> bytes:
    """The extension's value: the DER of an OCTET STRING with the SHA-256 of the key authorization."""
    digest = hashlib.sha256(key_authorization.encode()).digest()
    return bytes([_OCTET_STRING, len(digest)]) + digest


def _general_name(identifier: Identifier) -> x509.GeneralName:
    """RFC 8738 section 6 for addresses."""
    if identifier.type == "ip":
        return x509.IPAddress(ipaddress.ip_address(identifier.value))
    return x509.DNSName(identifier.value)
