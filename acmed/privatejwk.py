# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys as JWK (RFC 7517, 7518 section 6, 8037), the form in which an account's key is brought along.

Root reads it too: JSON and integers, where PEM would be ASN.1 of somebody else's.
"""

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from acmed import base64url

LONGEST = 16 * 1024  # characters; one of RSA with 4096 bits has less than 4000
_RSA_BITS = range(2048, 4097)
_EXPONENTS = range(3, 1 << 32)
_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey


class UnusableJwk(ValueError):
    """Not a private key that an account may have; the message says why, without any of it."""


def parse(text: str) -> Private:
    """ECDSA on P-256, P-384 or P-521, RSA of 2048 to 4096 bits, or Ed25519. Raises UnusableJwk."""
    if len(text) > LONGEST:
        raise UnusableJwk(f"it has more than {LONGEST} characters")
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableJwk("it is not JSON") from None
    if not isinstance(members, dict):
        raise UnusableJwk("it is not a JSON object")
    return _decode(members)


def encode(key: Private) -> str:
    """The JSON of a key, with no space in it."""
    return json.dumps(_members(key), separators=(",", ":"))


def to_pem(key: Private) -> bytes:
    """PKCS#8, PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _decode(jwk: Mapping[str, Any]) -> Private:
    # acmebot's has no kty.
    kind = jwk.get("kty", "RSA" if "n" in jwk else None)
    try:
        match kind:
            case "RSA":
                return _rsa(jwk)
            case "EC":
                return _ec(jwk)
            case "OKP" if jwk.get("crv") == "Ed25519":
                return _ed25519(jwk)
    except UnusableJwk:
        raise
    except ValueError:  # what the numbers are is not repeated
        raise UnusableJwk("its numbers do not make a key") from None
    raise UnusableJwk("it is neither an RSA, an ECDSA nor an Ed25519 key")


def _rsa(jwk: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    if "oth" in jwk:
        raise UnusableJwk("an RSA key has two primes")
    n, e, d, p, q, dp, dq, qi = (_integer(jwk, name) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi"))
    if n.bit_length() not in _RSA_BITS:
        raise UnusableJwk(f"an RSA key has 2048 to 4096 bits, not {n.bit_length()}")
    if any(number >= n for number in (d, p, q, dp, dq, qi)):
        raise ValueError
    if e not in _EXPONENTS:
        raise UnusableJwk("its public exponent is none that is in use")
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def _ec(jwk: Mapping[str, Any]) -> ec.EllipticCurvePrivateKey:
    curve = _CURVES.get(str(jwk.get("crv")))
    if curve is None:
        raise UnusableJwk("an ECDSA key is on P-256, P-384 or P-521")
    d, x, y = (_integer(jwk, name) for name in "dxy")
    if d.bit_length() > curve.key_size:
        raise UnusableJwk("its numbers do not make a key")
    key = ec.derive_private_key(d, curve)
    point = key.public_key().public_numbers()
    if (point.x, point.y) != (x, y):
        raise UnusableJwk("its private key is not that of its public key")
    return key


def _ed25519(jwk: Mapping[str, Any]) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.from_private_bytes(_bytes(jwk, "d"))
    if key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != _bytes(jwk, "x"):
        raise UnusableJwk("its private key is not that of its public key")
    return key


def _integer(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_bytes(jwk, name), "big")


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise UnusableJwk(f"it is not a private key: it has no {name!r}")
    try:
        return base64url.decode(value)
    except base64url.NotBase64Url:
        raise UnusableJwk(f"its {name!r} is not base64url") from None


def _members(key: Private) -> dict[str, str]:
    if isinstance(key, Ed25519PrivateKey):
        secret = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(public), "d": base64url.encode(secret)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        private, size = key.private_numbers(), (key.curve.key_size + 7) // 8
        point = private.public_numbers
        crv = next((name for name, curve in _CURVES.items() if curve.name == key.curve.name), None)
        if crv is None:
            raise UnusableJwk(f"an ECDSA key is on P-256, P-384 or P-521, not on {key.curve.name}")
        numbers = {"x": point.x, "y": point.y, "d": private.private_value}
        return {"kty": "EC", "crv": crv} | {name: _text(number, size) for name, number in numbers.items()}
    if key.key_size not in _RSA_BITS:
        raise UnusableJwk(f"an RSA key has 2048 to 4096 bits, not {key.key_size}")
    has = key.private_numbers()
    numbers = {"n": has.public_numbers.n, "e": has.public_numbers.e, "d": has.d, "p": has.p, "q": has.q}
    numbers |= {"dp": has.dmp1, "dq": has.dmq1, "qi": has.iqmp}
    return {"kty": "RSA"} | {name: _text(number) for name, number in numbers.items()}


def _text(number: int, size: int | None = None) -> str:
    return base64url.encode(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))
