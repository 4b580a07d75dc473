# SPDX-License-Identifier: LGPL-2.1-or-later
"""Account keys: read from credentials, shown as JWK (RFC 7517, 7518), used to sign."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acmed import journal
from acmed.keyd import jws

_PREFIX = "account_"
_CURVES: dict[str, tuple[str, str, hashes.HashAlgorithm]] = {
    "secp256r1": ("P-256", "ES256", hashes.SHA256()),
    "secp384r1": ("P-384", "ES384", hashes.SHA384()),
}


class UnusableKey(ValueError):
    """Not a key that an account may have; the message says why, without any of its bytes."""


@dataclass(frozen=True)
class Key:
    """An account key. jwk is its public half."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(repr=False)
    jwk: dict[str, str]
    algorithm: str

    @property
    def thumbprint(self) -> str:
        """RFC 7638, SHA-256."""
        return jws.thumbprint(self.jwk)

    def sign(self, data: bytes) -> bytes:
        """A JWS signature (RFC 7518 section 3): RSASSA-PKCS1-v1_5, or ECDSA as r and s side by side."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        size = (self.private.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(_CURVES[self.private.curve.name][2])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def parse(pem: bytes) -> Key:
    """An unencrypted private key in PEM: ECDSA on P-256 or P-384, or RSA of 2048 to 4096 bits. Raises UnusableKey."""
    if not pem.strip():
        raise UnusableKey("it is empty")
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise UnusableKey("it is not an unencrypted private key in PEM") from error
    if isinstance(private, rsa.RSAPrivateKey):
        if not 2048 <= private.key_size <= 4096:
            raise UnusableKey(f"an RSA key has 2048 to 4096 bits, not {private.key_size}")
        public = private.public_key().public_numbers()
        jwk = {"e": _integer(public.e), "kty": "RSA", "n": _integer(public.n)}
        return Key(private, jwk, "RS256")
    if isinstance(private, ec.EllipticCurvePrivateKey):
        if private.curve.name not in _CURVES:
            raise UnusableKey(f"an ECDSA key is on P-256 or P-384, not on {private.curve.name}")
        curve, algorithm, _ = _CURVES[private.curve.name]
        size = (private.curve.key_size + 7) // 8
        point = private.public_key().public_numbers()
        jwk = {"crv": curve, "kty": "EC", "x": _integer(point.x, size), "y": _integer(point.y, size)}
        return Key(private, jwk, algorithm)
    raise UnusableKey("it is neither an RSA nor an ECDSA key")


def read_credentials(directory: Path) -> dict[str, Key]:
    """The keys of all account_NAME credentials. One that cannot be used is logged and left out."""
    keys = {}
    for path in sorted(directory.glob(f"{_PREFIX}*")):
        name = path.name.removeprefix(_PREFIX)
        try:
            keys[name] = parse(path.read_bytes())
        except (UnusableKey, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            journal.error("The key of account %s cannot be used: %s", name, reason, account=name)
    return keys


def _integer(value: int, size: int | None = None) -> str:
    return jws.encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
