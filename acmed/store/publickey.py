# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public half of a key that is not here, read from the JWK that it shows (RFC 7517, 7518, 8037)."""

from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from acmed import base64url
from acmed.keyd import jws

_CURVES: dict[str, tuple[str, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "P-256": ("ES256", ec.SECP256R1(), hashes.SHA256()),
    "P-384": ("ES384", ec.SECP384R1(), hashes.SHA384()),
    "P-521": ("ES512", ec.SECP521R1(), hashes.SHA512()),
}
_REQUIRED = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}

# Bytes of a JWS signature, at least and at most, by its "alg". An RSA key of ours has 2048 to 4096 bits.
SIGNATURE_BYTES = {
    "RS256": (256, 512),
    "ES256": (64, 64),
    "ES384": (96, 96),
    "ES512": (132, 132),
    "EdDSA": (64, 64),
}


class BadJwk(ValueError):
    """Not the public half of a key that an account may have; the message says why."""


@dataclass(frozen=True)
class PublicKey:
    """jwk has the required members only."""

    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey = field(compare=False)
    jwk: dict[str, str]
    algorithm: str

    @property
    def thumbprint(self) -> str:
        """RFC 7638, SHA-256."""
        return jws.thumbprint(self.jwk)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether it is this key's JWS signature (RFC 7518 section 3, RFC 8037 section 3.1)."""
        try:
            if isinstance(self.public, rsa.RSAPublicKey):
                self.public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(self.public, Ed25519PublicKey):
                self.public.verify(signature, data)
            else:
                half = len(signature) // 2
                r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
                self.public.verify(encode_dss_signature(r, s), data, ec.ECDSA(_CURVES[self.jwk["crv"]][2]))
        except InvalidSignature:
            return False
        return True


def parse(shown: dict[str, Any]) -> PublicKey:
    """Raises BadJwk."""
    kind = shown.get("kty")
    if not isinstance(kind, str) or kind not in _REQUIRED:
        raise BadJwk("it is neither an RSA, an ECDSA nor an Ed25519 key")
    jwk = {name: shown.get(name, "") for name in _REQUIRED[kind]}
    if not all(isinstance(value, str) for value in jwk.values()):
        raise BadJwk("its members are text")
    try:
        return _READERS[kind](jwk)
    except BadJwk:
        raise
    except ValueError as error:
        raise BadJwk(f"it is no {kind} key") from error


def _rsa(jwk: dict[str, str]) -> PublicKey:
    exponent, modulus = base64url.decode(jwk["e"]), base64url.decode(jwk["n"])
    bits = int.from_bytes(modulus, "big").bit_length()
    if not 2048 <= bits <= 4096:
        raise BadJwk(f"an RSA key has 2048 to 4096 bits, not {bits}")
    if len(exponent) > 8 or exponent[:1] in (b"", b"\0") or modulus[:1] == b"\0":
        raise BadJwk("its numbers are not as RFC 7518 has them")
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    return PublicKey(numbers.public_key(), jwk, "RS256")


def _ec(jwk: dict[str, str]) -> PublicKey:
    if jwk["crv"] not in _CURVES:
        raise BadJwk("an ECDSA key is on P-256, P-384 or P-521")
    algorithm, curve, _ = _CURVES[jwk["crv"]]
    x, y = base64url.decode(jwk["x"]), base64url.decode(jwk["y"])
    if {len(x), len(y)} != {(curve.key_size + 7) // 8}:
        raise BadJwk("its numbers are not as RFC 7518 has them")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
    return PublicKey(numbers.public_key(), jwk, algorithm)


def _okp(jwk: dict[str, str]) -> PublicKey:
    if jwk["crv"] != "Ed25519":
        raise BadJwk("an EdDSA key is on Ed25519")
    return PublicKey(Ed25519PublicKey.from_public_bytes(base64url.decode(jwk["x"])), jwk, "EdDSA")


_READERS = {"RSA": _rsa, "EC": _ec, "OKP": _okp}
