# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON Web Signature of an ACME request: its parts (RFC 7515, RFC 7638, RFC 8555 section 6.2)."""

import base64
import binascii
import hashlib
import json
from typing import Any


class NotBase64Url(ValueError):
    """Not base64url without padding (RFC 7515 section 2)."""


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes behind base64url without padding. Only the one canonical spelling is taken. Raises NotBase64Url."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise NotBase64Url("not base64url") from error
    if encode(data) != text:
        raise NotBase64Url("not base64url without padding")
    return data


def compact(value: Any) -> bytes:
    """JSON without white space, keys in order."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def thumbprint(jwk: dict[str, str]) -> str:
    """The SHA-256 thumbprint of a JWK that has its required members only (RFC 7638)."""
    return encode(hashlib.sha256(compact(jwk)).digest())


def protected_header(
    algorithm: str, nonce: str | None, url: str, *, jwk: dict[str, str] | None = None, kid: str | None = None
) -> str:
    """The protected header, encoded: with jwk for newAccount, else with kid (RFC 8555 section 6.2).

    A JWS inside of another one has no nonce (sections 7.3.4 and 7.3.5).
    """
    header: dict[str, Any] = {"alg": algorithm, "url": url}
    header |= {} if nonce is None else {"nonce": nonce}
    header |= {"jwk": jwk} if jwk is not None else {"kid": kid}
    return encode(compact(header))


def flattened(protected: str, payload: str, signature: bytes) -> dict[str, str]:
    """The flattened JSON serialization (RFC 7515 section 7.2.2)."""
    return {"protected": protected, "payload": payload, "signature": encode(signature)}
