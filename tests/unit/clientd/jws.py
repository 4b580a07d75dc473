# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key's side and the CA's side of a JWS (RFC 7515, ES256)."""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

_ES256 = ec.ECDSA(hashes.SHA256())


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    point = key.public_key().public_numbers()
    x, y = (encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(public: dict[str, str]) -> str:
    """RFC 7638."""
    return encode(hashlib.sha256(json.dumps(public, sort_keys=True, separators=(",", ":")).encode()).digest())


def sign(key: ec.EllipticCurvePrivateKey, protected: dict[str, Any], payload: str) -> dict[str, str]:
    header = encode(json.dumps(protected).encode())
    r, s = decode_dss_signature(key.sign(f"{header}.{payload}".encode(), _ES256))
    signature = encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return {"protected": header, "payload": payload, "signature": signature}


def header(message: dict[str, str]) -> Any:
    """The protected header."""
    return json.loads(decode(message["protected"]))


def content(message: dict[str, str]) -> Any:
    """The payload, which is JSON."""
    return json.loads(decode(message["payload"]))


def verifies(message: dict[str, str], public: dict[str, str]) -> bool:
    x, y = (int.from_bytes(decode(public[name]), "big") for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = decode(message["signature"])
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(der, f"{message['protected']}.{message['payload']}".encode(), _ES256)
    except InvalidSignature:
        return False
    return True
