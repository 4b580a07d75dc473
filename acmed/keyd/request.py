# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a request is, told from its payload alone (RFC 8555 section 7). One with anything unknown in it is refused.

The same bytes that are parsed here are signed. Duplicate members are refused, as another parser may take the other one.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from acmed import base64url
from acmed.names import Identifier

_ORDER_MEMBERS = {"profile", "notBefore", "notAfter", "replaces"}


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
    """Section 7.4. profile: draft-ietf-acme-profiles. not_before, not_after: RFC 3339. replaces: RFC 9773 section 5."""

    identifiers: frozenset[Identifier]
    profile: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    replaces: str | None = None
    operation = "newOrder"


@dataclass(frozen=True)
class NewAuthorization:
    """Section 7.4.1."""

    identifier: Identifier
    operation = "newAuthz"


@dataclass(frozen=True)
class Finalize:
    """Section 7.4. csr: DER."""

    csr: bytes = field(repr=False)
    operation = "finalize"

    @property
    def csr_sha256(self) -> str:
        """Hexadecimal."""
        return hashlib.sha256(self.csr).hexdigest()


@dataclass(frozen=True)
class NewAccount:
    """Section 7.3, with the terms of service agreed to."""

    contact: tuple[str, ...]
    operation = "newAccount"


@dataclass(frozen=True)
class Lookup:
    """newAccount with onlyReturnExisting (section 7.3.1), which acme-keyd makes itself. next: by the next key."""

    next: bool
    operation = "account lookup"


@dataclass(frozen=True)
class AccountRead:
    """POST-as-GET of the account's URL, or a change of nothing, told from the URL: for far/ only."""

    operation = "account read"


@dataclass(frozen=True)
class Update:
    """Section 7.3.2."""

    contact: tuple[str, ...]
    operation = "account update"


@dataclass(frozen=True)
class Deactivation:
    """Section 7.3.6."""

    operation = "account deactivation"


@dataclass(frozen=True)
class KeyChange:
    """Section 7.3.5, which acme-keyd makes itself. thumbprint: the next key's."""

    thumbprint: str
    operation = "keyChange"


@dataclass(frozen=True)
class Revocation:
    """Section 7.6. certificate: DER."""

    certificate: bytes = field(repr=False)
    reason: int
    operation = "revokeCert"

    @property
    def certificate_sha256(self) -> str:
        """Hexadecimal."""
        return hashlib.sha256(self.certificate).hexdigest()


# What a caller may hand over, and that with what acme-keyd makes itself.
Understood = (
    PostAsGet
    | ChallengeAnswer
    | NewOrder
    | NewAuthorization
    | Finalize
    | NewAccount
    | Update
    | Deactivation
    | Revocation
)
Request = Understood | Lookup | KeyChange


def understand(payload: bytes) -> Understood:
    """The request in a payload. Raises NotUnderstood."""
    if not payload:
        return PostAsGet()
    message = members(payload, "the payload")
    if not message:
        return ChallengeAnswer()
    request = of_orders(message) or _of_accounts(message)
    if request is None:
        raise NotUnderstood("no request of this form is signed")
    return request


def members(data: bytes, what: str) -> dict[str, Any]:
    """The members of a JSON object. Raises NotUnderstood, which says what it is that is none."""
    try:
        message = json.loads(data.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"{what} is a JSON object without duplicate members") from error
    if not isinstance(message, dict):
        raise NotUnderstood(f"{what} is a JSON object")
    return message


def of_orders(message: dict[str, Any]) -> NewOrder | NewAuthorization | Finalize | Revocation | None:
    """The request of these members, where it is one about certificates. Raises NotUnderstood."""
    match message:
        case {"identifiers": list(identifiers), **rest} if rest.keys() <= _ORDER_MEMBERS and _strings(rest.values()):
            names = frozenset(_identifier(item) for item in identifiers)
            begin, end = rest.get("notBefore"), rest.get("notAfter")
            return NewOrder(names, rest.get("profile"), begin, end, rest.get("replaces"))
        case {"identifier": identifier, **rest} if not rest:
            return NewAuthorization(_identifier(identifier))
        case {"csr": str(csr), **rest} if not rest:
            return Finalize(_der(csr))
        case {"certificate": str(certificate), "reason": int(reason), **rest} if not rest and reason is not True:
            return Revocation(_der(certificate), reason)
    return None


def _of_accounts(message: dict[str, Any]) -> NewAccount | Update | Deactivation | None:
    match message:
        case {"termsOfServiceAgreed": True, "contact": list(contact), **rest} if not rest and _strings(contact):
            return NewAccount(tuple(contact))
        case {"contact": list(contact), **rest} if not rest and _strings(contact):
            return Update(tuple(contact))
        case {"status": "deactivated", **rest} if not rest:
            return Deactivation()
    return None


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


def _der(text: str) -> bytes:
    try:
        return base64url.decode(text)
    except base64url.NotBase64Url as error:
        raise NotUnderstood("DER is sent as base64url") from error


def _strings(items: Iterable[Any]) -> bool:
    return all(isinstance(item, str) for item in items)
