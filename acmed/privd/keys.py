# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys of certificates."""

import base64
import hashlib
import re
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from acmed.config.model import KeyType

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_PUBLIC_EXPONENT = 65537
_CURVES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384", "secp521r1": "ecdsa-p521"}
_RSA_BITS = range(2048, 4097)
# "openssl ecparam -genkey" writes another block in front of it.
_BLOCK = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


class Origin(StrEnum):
    """Where a certificate's key comes from."""

    GENERATED = "generated"  # made here
    PROVIDED = "provided"  # root's own, key-file
    ELSEWHERE = "elsewhere"  # it never was here: the CSR came ready made


class UnusableKey(ValueError):
    """Not a key that a certificate may have; the message says why, without any of its bytes."""


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
    """The one private key in a PEM file: ECDSA on P-256, P-384 or P-521, or RSA of 2048 to 4096 bits. Raises
    UnusableKey.
    """
    blocks = [found[0] for found in _BLOCK.finditer(pem)]
    if len(blocks) != 1:
        raise UnusableKey(f"it must have one unencrypted private key (PEM) in it, and has {len(blocks)}")
    try:
        key = load_pem_private_key(blocks[0], None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey("it is not an unencrypted private key in PEM") from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size in _RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        # The public part is in the file besides (RFC 5915 section 3), and OpenSSL believes it, other than with RSA.
        if _derived(key) != encoded_public_key(key):
            raise UnusableKey("its private part is not that of its public one")
        return key
    raise UnusableKey("it must be ECDSA on P-256, P-384 or P-521, or RSA of 2048 to 4096 bits")


def _derived(key: ec.EllipticCurvePrivateKey) -> str:
    """The encoded_public_key() of its private part alone. Raises UnusableKey."""
    try:
        return encoded_public_key(ec.derive_private_key(key.private_numbers().private_value, key.curve))
    except ValueError as error:  # 0, or the order of the curve: no point is that number times the generator
        raise UnusableKey("its private part is no number of that curve") from error


def check(pem: bytes, public: str) -> None:
    """Whether it is the private key of that public one, as encoded_public_key() has it; "" for one that is not known.
    Raises UnusableKey.
    """
    if encoded_public_key(from_pem(pem)) != public and public:
        raise UnusableKey("it is another key")


def type_of(key: PrivateKey) -> str:
    """As acmed.toml(5) has it, where it has it: "rsa-2560" is one, too."""
    return f"rsa-{key.key_size}" if isinstance(key, rsa.RSAPrivateKey) else _CURVES[key.curve.name]


def public_key(key: PrivateKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def encoded_public_key(key: PrivateKey) -> str:
    """public_key() in base64."""
    return base64.b64encode(public_key(key)).decode()


def fingerprint(encoded: str) -> str:
    """SHA-256, hexadecimal, of a public key that is DER SubjectPublicKeyInfo in base64."""
    return hashlib.sha256(base64.b64decode(encoded)).hexdigest()
