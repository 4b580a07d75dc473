# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON Web Signature of an ACME request: its parts (RFC 7515, RFC 7638, RFC 8555 section 6.2)."""

import hashlib
import json
from typing import Any

from acmed import base64url


def compact(value: Any) -> bytes:
    """JSON without white space, keys in order."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def thumbprint(jwk: dict[str, str]) -> str:
    """The SHA-256 thumbprint of a JWK that has its required members only (RFC 7638)."""
    return base64url.encode(hashlib.sha256(compact(jwk)).digest())


def protected_header(
    algorithm: str, nonce: str | None, url: str, *, jwk: dict[str, str] | None = None, kid: str | None = None
) -> str:
    """The protected header, encoded: with jwk for newAccount, else with kid (RFC 8555 section 6.2).

    A JWS inside of another one has no nonce (sections 7.3.4 and 7.3.5).
    """
    header: dict[str, Any] = {"alg": algorithm, "url": url}
    header |= {} if nonce is None else {"nonce": nonce}
    header |= {"jwk": jwk} if jwk is not None else {"kid": kid}
    return base64url.encode(compact(header))


def flattened(protected: str, payload: str, signature: bytes) -> dict[str, str]:
    """The flattened JSON serialization (RFC 7515 section 7.2.2)."""
    return {"protected": protected, "payload": payload, "signature": base64url.encode(signature)}
