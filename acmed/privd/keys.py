# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys and certificate signing requests (RFC 2986)."""

import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from acmed.config.model import KeyType
from acmed.names import Identifier

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_PUBLIC_EXPONENT = 65537


def generate(key_type: KeyType) -> PrivateKey:
    """A new key. RSA takes up to some seconds."""
    match key_type:
        case KeyType.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyType.ECDSA_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyType.RSA_2048 | KeyType.RSA_3072 | KeyType.RSA_4096:
            return rsa.generate_private_key(_PUBLIC_EXPONENT, int(key_type.removeprefix("rsa-")))


def to_pem(key: PrivateKey) -> bytes:
    """PKCS#8, PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def from_pem(pem: bytes) -> PrivateKey:
    """A key that to_pem() wrote. Raises ValueError for anything else."""
    key = load_pem_private_key(pem, None)
    if not isinstance(key, PrivateKey):
        raise ValueError("neither an ECDSA nor an RSA key")
    return key


def public_key(key: PrivateKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signing_request(key: PrivateKey, identifiers: tuple[Identifier, ...]) -> bytes:
    """A CSR (DER) with all identifiers as subject alternative names and an empty subject: a common name would be
    limited to 64 bytes, and is not needed (RFC 8555 section 7.4).
    """
    names = x509.SubjectAlternativeName([_general_name(identifier) for identifier in identifiers])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _general_name(identifier: Identifier) -> x509.GeneralName:
    if identifier.type == "ip":
        return x509.IPAddress(ipaddress.ip_address(identifier.value))
    return x509.DNSName(identifier.value)
