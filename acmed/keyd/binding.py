# SPDX-License-Identifier: LGPL-2.1-or-later
"""External account binding (RFC 8555 section 7.3.4): a CA's other account, shown by an HMAC over the account's key."""

import hmac

from acmed import base64url
from acmed.config.model import ExternalBinding
from acmed.keyd import jws

_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}  # RFC 7518 section 3.2


def mac(key: bytes, algorithm: str, data: bytes) -> bytes:
    """algorithm is one of hmackey.ALGORITHMS."""
    return hmac.digest(key, data, _HASHES[algorithm])


def bind(key: bytes, external: ExternalBinding, url: str, jwk: dict[str, str]) -> dict[str, str]:
    """The member externalAccountBinding of a newAccount request that goes to the URL and is signed by the jwk's key."""
    protected = jws.protected_header(external.algorithm, None, url, kid=external.key_id)
    payload = base64url.encode(jws.compact(jwk))
    return jws.flattened(protected, payload, mac(key, external.algorithm, f"{protected}.{payload}".encode()))
