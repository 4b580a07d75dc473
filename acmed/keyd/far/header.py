# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JWS signing input (RFC 7515 section 5.1) that a client wants signed, with the protected header that it chose."""

import re
from dataclasses import dataclass
from typing import Any

from acmed import base64url
from acmed.keyd.keys import LocalKey
from acmed.keyd.request import NotUnderstood, members

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")


@dataclass(frozen=True)
class SigningInput:
    """data: the bytes to sign, of which the rest was read. kid is None where the header has the key itself."""

    data: bytes
    url: str
    kid: str | None
    payload: bytes


def parse(line: bytes, key: LocalKey) -> SigningInput:
    """A signing input whose header is as RFC 8555 section 6.2 has it, for this key. Raises NotUnderstood."""
    try:
        protected, dot, encoded = line.decode("ascii").partition(".")
        header, payload = base64url.decode(protected), base64url.decode(encoded)
    except (UnicodeDecodeError, base64url.NotBase64Url) as error:
        raise NotUnderstood("a line is two words of base64url with a dot in between") from error
    if not dot:
        raise NotUnderstood("a line is two words of base64url with a dot in between")
    url, kid = _read(members(header, "the protected header"), key)
    return SigningInput(line, url, kid, payload)


def _read(header: dict[str, Any], key: LocalKey) -> tuple[str, str | None]:
    """The URL, and the key ID or None."""
    match header:
        case {"alg": str(algorithm), "nonce": str(nonce), "url": str(url), **rest}:
            pass
        case _:
            raise NotUnderstood("the protected header has alg, nonce and url")
    if algorithm != key.algorithm:
        raise NotUnderstood(f"the protected header's alg is the key's, {key.algorithm}")
    if not _NONCE.fullmatch(nonce):
        raise NotUnderstood("a nonce is base64url (RFC 8555 section 6.5.1)")
    match rest:
        case {"kid": str(kid), **more} if not more:
            return url, kid
        case {"jwk": dict(jwk), **more} if not more:
            if jwk != key.jwk:
                raise NotUnderstood("the protected header's jwk is the account's key")
            return url, None
    raise NotUnderstood("the protected header has one of jwk and kid, and nothing more")
