# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public half of a key on a token, as JWK, from what PKCS #11 says about objects (v2.40, RFC 7517, 7518, 8037)."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmed import base64url

Jwk = dict[str, str]

# CKA_EC_PARAMS: the DER of a curve's OID, or of its name as a PrintableString.
_P256, _P384, _P521 = (("P-256", ec.SECP256R1()), ("P-384", ec.SECP384R1()), ("P-521", ec.SECP521R1()))
_CURVES: dict[bytes, tuple[str, ec.EllipticCurve]] = {
    bytes.fromhex("06082a8648ce3d030107"): _P256,
    bytes.fromhex("06052b81040022"): _P384,
    bytes.fromhex("06052b81040023"): _P521,
}
_ED25519 = (bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519")
_OCTET_STRING, _BIT_STRING = 0x04, 0x03


class BadPublicKey(ValueError):
    """Not the public half of an RSA, an ECDSA or an Ed25519 key; the message says why."""


def rsa_jwk(modulus: bytes, exponent: bytes) -> Jwk:
    """From CKA_MODULUS and CKA_PUBLIC_EXPONENT, which are big-endian."""
    return {"e": _shortest(exponent), "kty": "RSA", "n": _shortest(modulus)}


def ec_jwk(parameters: bytes, point: bytes) -> Jwk:
    """From CKA_EC_PARAMS and CKA_EC_POINT, which is the DER of an OCTET STRING, or what should be in one. Raises
    BadPublicKey.
    """
    if parameters not in _CURVES:
        raise BadPublicKey("it is on another curve than P-256, P-384 and P-521, or says its parameters without a name")
    name, curve = _CURVES[parameters]
    for encoded in (point, _inside(point)):
        try:
            return _ec(name, ec.EllipticCurvePublicKey.from_encoded_point(curve, encoded))
        except ValueError:
            continue
    raise BadPublicKey(f"its CKA_EC_POINT is no point of {name}")


def edwards_jwk(parameters: bytes, point: bytes) -> Jwk:
    """The same for a key of the type CKK_EC_EDWARDS. Raises BadPublicKey."""
    if parameters not in _ED25519:
        raise BadPublicKey("it is on another curve than Ed25519")
    for encoded in (point, _inside(point)):
        try:
            return _okp(Ed25519PublicKey.from_public_bytes(encoded))
        except ValueError:
            continue
    raise BadPublicKey("its CKA_EC_POINT is no point of Ed25519")


def certificate_jwk(value: bytes) -> Jwk:
    """From CKA_VALUE of an X.509 certificate. Raises BadPublicKey."""
    from cryptography import x509  # noqa: PLC0415  slow to load, and most tokens have the public key

    try:
        public = x509.load_der_x509_certificate(value).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadPublicKey("the certificate beside it cannot be read") from error
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return rsa_jwk(*(value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e)))
    if isinstance(public, ec.EllipticCurvePublicKey):
        for name, curve in _CURVES.values():
            if public.curve.name == curve.name:
                return _ec(name, public)
    if isinstance(public, Ed25519PublicKey):
        return _okp(public)
    raise BadPublicKey("the certificate beside it has a key that is neither RSA, P-256, P-384, P-521 nor Ed25519")


def _ec(name: str, public: ec.EllipticCurvePublicKey) -> Jwk:
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    half = len(point) // 2
    return {
        "crv": name,
        "kty": "EC",
        "x": base64url.encode(point[1 : half + 1]),
        "y": base64url.encode(point[half + 1 :]),
    }


def _okp(public: Ed25519PublicKey) -> Jwk:
    return {"crv": "Ed25519", "kty": "OKP", "x": base64url.encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _inside(der: bytes) -> bytes:
    """The content of an OCTET STRING or a BIT STRING of at most 255 bytes, empty where it is neither."""
    if len(der) < 3 or der[0] not in (_OCTET_STRING, _BIT_STRING):
        return b""
    start, length = (3, der[2]) if der[1] == 0x81 else (2, der[1])
    content = der[start:]
    if len(content) != length:
        return b""
    return content[1:] if der[0] == _BIT_STRING else content


def _shortest(number: bytes) -> str:
    return base64url.encode(number.lstrip(b"\0"))
