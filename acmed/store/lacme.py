# SPDX-License-Identifier: LGPL-2.1-or-later
"""lacme's wire protocol (lacme-accountd(1)), from the side of the client. Nothing that comes is believed.

Lines end with CR LF. The far end begins with two: "1 OK" with a JSON object, and the JWK, which is {} where it does not
show its key. Then each signing input of ours gets its signature, as a line of base64url. There are no errors: a far end
that refuses closes the connection.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from acmed import base64url, journal
from acmed.store.opened import Unavailable
from acmed.store.publickey import SIGNATURE_BYTES, BadJwk, PublicKey, parse

MAX_LINE = 64 * 1024  # bytes: the limit of the streams that are given to us
_GREETING = re.compile(rb"([0-9]{1,9}) OK(?: (.*))?\r\n", re.DOTALL)
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_URI = re.compile(r"https://[!-~]{1,1000}")
_SHOWN = 60  # characters of what is not the protocol


class Lost(Exception):
    """The far end has closed the connection, or it broke."""


@dataclass(frozen=True)
class FarKey:
    """A key as the far end presents it. public is None where it does not show it; then there is the account's uri."""

    algorithm: str
    thumbprint: str
    uri: str | None
    public: PublicKey | None


async def receive_key(reader: asyncio.StreamReader) -> FarKey:
    """The first two lines. Raises Lost, or Unavailable for what is not the protocol."""
    first = await _line(reader)
    greeting = _GREETING.fullmatch(first)
    if greeting is None:
        raise Unavailable(f"what answers is neither acme-keyd nor lacme-accountd: it says {_shown(first)}")
    if int(greeting[1]) != 1:
        raise Unavailable(f"it speaks version {int(greeting[1])} of lacme's protocol, and acmed only version 1")
    about = _members(greeting[2] or b"{}", "its greeting")
    shown = _members(await _line(reader), "the JWK that it shows")
    return _hidden(about) if not shown else _presented(about, shown)


async def sign(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: FarKey, data: bytes) -> bytes:
    """The JWS signature of a signing input, verified where the key is known. Raises as receive_key() does."""
    try:
        writer.write(data + b"\r\n")
        await writer.drain()
    except OSError as error:
        raise Lost from error
    line = await _line(reader)
    try:
        if not line.endswith(b"\r\n"):
            raise base64url.NotBase64Url
        signature = base64url.decode(line[:-2].decode("ascii"))
    except (UnicodeDecodeError, base64url.NotBase64Url) as error:
        raise Unavailable(f"its answer is not a signature in base64url: {_shown(line)}") from error
    least, most = SIGNATURE_BYTES[key.algorithm]
    if not least <= len(signature) <= most:
        raise Unavailable(f"its signature has {len(signature)} bytes, which is none by {key.algorithm}")
    if key.public is not None and not key.public.verifies(signature, data):
        raise Unavailable("its signature is not of the key that it shows")
    return signature


def _presented(about: dict[str, Any], shown: dict[str, Any]) -> FarKey:
    try:
        public = parse(shown)
    except BadJwk as error:
        raise Unavailable(f"the JWK that it shows cannot be used: {error}") from error
    algorithm, uri = _algorithm(about), _uri(about)
    if algorithm != public.algorithm:
        raise Unavailable(f"it signs by {algorithm}, but shows a key for {public.algorithm}")
    if about.get("jwk-thumbprint", public.thumbprint) != public.thumbprint:
        raise Unavailable("the thumbprint in its greeting is not that of the JWK that it shows")
    return FarKey(algorithm, public.thumbprint, uri, public)


def _hidden(about: dict[str, Any]) -> FarKey:
    thumbprint, uri = about.get("jwk-thumbprint"), _uri(about)
    if not isinstance(thumbprint, str) or not _THUMBPRINT.fullmatch(thumbprint):
        raise Unavailable("it shows neither its key nor the key's thumbprint")
    if uri is None:
        raise Unavailable("it shows neither its key nor the account's URL")
    return FarKey(_algorithm(about), thumbprint, uri, None)


def _algorithm(about: dict[str, Any]) -> str:
    algorithm = about.get("alg", "RS256")
    if not isinstance(algorithm, str) or algorithm not in SIGNATURE_BYTES:
        raise Unavailable(f"it does not sign by any of {', '.join(SIGNATURE_BYTES)}")
    return algorithm


def _uri(about: dict[str, Any]) -> str | None:
    uri = about.get("kid")
    if uri is not None and not (isinstance(uri, str) and _URI.fullmatch(uri)):
        raise Unavailable("the account's URL in its greeting is none")
    return uri


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise Unavailable(f"it sends a line of more than {MAX_LINE} bytes") from error
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Lost from error


def _members(text: bytes, what: str) -> dict[str, Any]:
    """Of a JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{what} is not JSON: {_shown(text)}") from error
    if not isinstance(found, dict):
        raise Unavailable(f"{what} is not a JSON object: {_shown(text)}")
    return found


def _shown(text: bytes) -> str:
    shown = journal.printable(text[: _SHOWN + 1].decode("ascii", errors="backslashreplace").rstrip("\r\n"))
    return f"'{shown[:_SHOWN]}…'" if len(shown) > _SHOWN else f"'{shown}'"
