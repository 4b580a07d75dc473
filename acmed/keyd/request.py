# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a request is, told from its payload alone (RFC 8555 section 7). One with anything unknown in it is refused.

The same bytes that are parsed here are signed. Duplicate members are refused, as another parser may take the other one.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from acmed.config import Account
from acmed.config.model import origin
from acmed.keyd import jws
from acmed.names import Identifier

_MAX_URL = 2048


class NotUnderstood(ValueError):
    """The request is none that acme-keyd knows; the message is the rule that it breaks."""


@dataclass(frozen=True)
class PostAsGet:
    """An empty payload (section 6.3)."""

    operation = "POST-as-GET"


@dataclass(frozen=True)
class ChallengeAnswer:
    """{} (section 7.5.1)."""

    operation = "challenge answer"


@dataclass(frozen=True)
class NewOrder:
    """Section 7.4."""

    identifiers: frozenset[Identifier]
    operation = "newOrder"


@dataclass(frozen=True)
class Finalize:
    """Section 7.4; csr_sha256 is hexadecimal."""

    csr_sha256: str
    operation = "finalize"


@dataclass(frozen=True)
class NewAccount:
    """Section 7.3, with the terms of service agreed to."""

    contact: tuple[str, ...]
    operation = "newAccount"


@dataclass(frozen=True)
class Revocation:
    """Section 7.6; certificate_sha256 is hexadecimal, of the DER."""

    certificate_sha256: str
    reason: int
    operation = "revokeCert"


Request = PostAsGet | ChallengeAnswer | NewOrder | Finalize | NewAccount | Revocation


def understand(payload: bytes) -> Request:
    """The request in a payload. Raises NotUnderstood."""
    if not payload:
        return PostAsGet()
    try:
        message = json.loads(payload.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("the payload is a JSON object without duplicate members") from error
    if not isinstance(message, dict):
        raise NotUnderstood("the payload is a JSON object")
    match message:
        case {"identifiers": list(identifiers), **rest} if not rest:
            return NewOrder(frozenset(_identifier(item) for item in identifiers))
        case {"csr": str(csr), **rest} if not rest:
            return Finalize(_sha256(csr))
        case {"termsOfServiceAgreed": True, "contact": list(contact), **rest} if not rest and _strings(contact):
            return NewAccount(tuple(contact))
        case {"certificate": str(certificate), "reason": int(reason), **rest} if not rest and reason is not True:
            return Revocation(_sha256(certificate), reason)
        case _ if not message:
            return ChallengeAnswer()
    raise NotUnderstood("no request of this form is signed")


def check_url(url: str, account: Account) -> None:
    """Raises NotUnderstood unless the URL is of the origin of the account's CA, and in plain spelling."""
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotUnderstood("the URL is printable ASCII without spaces")
    try:
        parts = urlsplit(url)
        if origin(url) != account.origin or parts.fragment:
            raise NotUnderstood("the URL is of the origin of the account's directory")
    except ValueError as error:
        raise NotUnderstood("the URL is of the origin of the account's directory") from error


def is_account_url(url: str, account: Account) -> bool:
    """Whether a server could take the URL for the account's: percent-encoding, slashes, dots and query aside."""
    return account.uri is not None and _path(url) == _path(account.uri)


def _path(url: str) -> list[str]:
    segments: list[str] = []
    for segment in unquote(urlsplit(url).path).lower().split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment.partition(";")[0])
    return segments


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("duplicate member")
    return message


def _identifier(item: Any) -> Identifier:
    match item:
        case {"type": "dns" | "ip" as kind, "value": str(value), **rest} if not rest:
            return Identifier(kind, value)
    raise NotUnderstood("an identifier has a type, dns or ip, and a value")


def _sha256(text: str) -> str:
    try:
        return hashlib.sha256(jws.decode(text)).hexdigest()
    except jws.NotBase64Url as error:
        raise NotUnderstood("DER is sent as base64url") from error


def _strings(items: list[Any]) -> bool:
    return all(isinstance(item, str) for item in items)
