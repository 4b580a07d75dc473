# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that signs: read from PEM, shown as JWK (RFC 7517, 7518, 8037)."""

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from acmed import base64url
from acmed.keyd import jws

_CURVES: dict[str, tuple[str, str, hashes.HashAlgorithm]] = {
    "secp256r1": ("P-256", "ES256", hashes.SHA256()),
    "secp384r1": ("P-384", "ES384", hashes.SHA384()),
    "secp521r1": ("P-521", "ES512", hashes.SHA512()),
}

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey


class UnusableKey(ValueError):
    """Not a key that an account may have; the message says why, without any of its bytes."""


class WrongPassphrase(UnusableKey):
    """The key is encrypted, and not with this passphrase."""


class LocalKey(Protocol):
    """A key that signs at once: in this process, or on a token beside it."""

    @property
    def jwk(self) -> dict[str, str]: ...

    @property
    def algorithm(self) -> str: ...

    @property
    def thumbprint(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...


class SigningKey(Protocol):
    """A key that signs. jwk: None where another host has it and does not show it."""

    @property
    def jwk(self) -> dict[str, str] | None: ...

    @property
    def algorithm(self) -> str: ...

    @property
    def thumbprint(self) -> str: ...

    async def sign(self, data: bytes) -> bytes:
        """The JWS signature. What it raises where there is none, whoever has opened the key says."""


@dataclass(frozen=True)
class Held:
    """One as those have it who wait for a signature."""

    key: LocalKey

    @property
    def jwk(self) -> dict[str, str]:
        return self.key.jwk

    @property
    def algorithm(self) -> str:
        return self.key.algorithm

    @property
    def thumbprint(self) -> str:
        return self.key.thumbprint

    async def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


@dataclass(frozen=True)
class Key:
    """jwk is its public half, with the required members only."""

    private: Private = field(repr=False)
    jwk: dict[str, str]
    algorithm: str

    @property
    def thumbprint(self) -> str:
        """RFC 7638, SHA-256."""
        return jws.thumbprint(self.jwk)

    def sign(self, data: bytes) -> bytes:
        """A JWS signature: RSASSA-PKCS1-v1_5, ECDSA as r and s side by side (RFC 7518 section 3), or EdDSA (RFC 8037
        section 3.1).
        """
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(data)
        size = (self.private.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(_CURVES[self.private.curve.name][2])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def parse(pem: bytes, passphrase: bytes | None = None) -> Key:
    """A private key in PEM, encrypted where there is a passphrase: ECDSA on P-256, P-384 or P-521, RSA of 2048 to 4096
    bits, or Ed25519. Raises UnusableKey.
    """
    if not pem.strip():
        raise UnusableKey("it is empty")
    try:
        private = load_pem_private_key(pem, password=passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if passphrase is not None:
            raise WrongPassphrase("it is not encrypted PEM of this passphrase") from error
        raise UnusableKey("it is not an unencrypted private key in PEM") from error
    if isinstance(private, rsa.RSAPrivateKey):
        if not 2048 <= private.key_size <= 4096:
            raise UnusableKey(f"an RSA key has 2048 to 4096 bits, not {private.key_size}")
        public = private.public_key().public_numbers()
        return Key(private, {"e": _integer(public.e), "kty": "RSA", "n": _integer(public.n)}, "RS256")
    if isinstance(private, ec.EllipticCurvePrivateKey):
        if private.curve.name not in _CURVES:
            raise UnusableKey(f"an ECDSA key is on P-256, P-384 or P-521, not on {private.curve.name}")
        curve, algorithm, _ = _CURVES[private.curve.name]
        size = (private.curve.key_size + 7) // 8
        point = private.public_key().public_numbers()
        jwk = {"crv": curve, "kty": "EC", "x": _integer(point.x, size), "y": _integer(point.y, size)}
        return Key(private, jwk, algorithm)
    if isinstance(private, Ed25519PrivateKey):
        x = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Key(private, {"crv": "Ed25519", "kty": "OKP", "x": base64url.encode(x)}, "EdDSA")
    raise UnusableKey("it is neither an RSA, an ECDSA nor an Ed25519 key")


def _integer(value: int, size: int | None = None) -> str:
    return base64url.encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
