# SPDX-License-Identifier: LGPL-2.1-or-later
"""The authorizations of an order (RFC 8555 section 7.1.4), and which of their challenges could be answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from acme import messages

from acmed.clientd.ca import objects
from acmed.clientd.ca.session import Session
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.orders.polling import together
from acmed.clientd.orders.shown import authorization, comparable, failure, lost
from acmed.clientd.orders.store import KeptAuthorization, KeptOrder
from acmed.names import Identifier, InvalidName, zone_name

# base64url (RFC 8555 section 8.3). It becomes the name of a file and a part of a path.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_ANSWERABLE = ("pending", "processing")
_PERSISTENT = "dns-persist-01"
_MOST_ISSUERS = 10  # draft-ietf-acme-dns-persist section 3.1


@dataclass(frozen=True)
class Challenge:
    """One that could be answered. wildcard: it is for "*." and the identifier.

    dns-persist-01 has issuers, the CA's names, and no token; all others have a token.
    """

    identifier: Identifier
    wildcard: bool
    type: str
    url: str
    token: str | None
    key_authorization: str | None
    issuers: tuple[str, ...] = ()


async def read(session: Session, order: KeptOrder) -> tuple[KeptOrder, tuple[Challenge, ...]]:
    """The order with its authorizations as they are now, and the challenges of those that are pending.

    Raises AcmeError, final, where one of them is lost, and any ClientError.
    """
    key = await session.signer.public_key(session.account.name)

    async def fetch(url: str) -> tuple[KeptAuthorization, tuple[Challenge, ...]]:
        return _read(session, *await authorization(session, url), order, key.thumbprint)

    found = await together(session.authority.limits.polls_at_once, (fetch(item.url) for item in order.authorizations))
    order = replace(order, authorizations=tuple(kept for kept, _ in found))
    return order, tuple(challenge for _, challenges in found for challenge in challenges)


def _read(
    session: Session, answer: Answer, body: messages.Authorization, order: KeptOrder, thumbprint: str
) -> tuple[KeptAuthorization, tuple[Challenge, ...]]:
    status = body.status.name
    identifier = Identifier(body.identifier.typ.name, body.identifier.value)
    base, star = comparable([identifier]), comparable([Identifier(identifier.type, f"*.{identifier.value}")])
    ordered = comparable(order.identifiers)
    wildcard = bool(body.wildcard) or not base <= ordered
    if not (star if wildcard else base) <= ordered:
        raise Unreachable(answer.url, f"is an authorization for {identifier}, which was not ordered")
    name = f"*.{identifier}" if wildcard else str(identifier)
    kept = KeptAuthorization(answer.url, identifier, wildcard, status, (), objects.expires(answer))
    if status == "valid":
        return kept, ()
    if status != "pending":
        raise lost(answer, failure(body), f"the authorization of {name} is {status}")
    offered = [item.chall.to_partial_json() for item in body.challenges if item.status.name in _ANSWERABLE]
    found = (_challenge(raw, identifier, wildcard, session.uri, thumbprint) for raw in offered)
    challenges = tuple(challenge for challenge in found if challenge)
    if not challenges:
        kinds = ", ".join(sorted({item.chall.to_partial_json()["type"] for item in body.challenges})) or "none"
        raise AcmeError.told(answer.url, f"{name}: no challenge can be answered (offered: {kinds})")
    return replace(kept, challenges=tuple(item.url for item in challenges)), challenges


def _challenge(
    raw: Mapping[str, Any], identifier: Identifier, wildcard: bool, uri: str, thumbprint: str
) -> Challenge | None:
    kind, url, token = raw["type"], raw["url"], raw.get("token")
    if kind == _PERSISTENT:
        issuers = _issuers(raw.get("issuer-domain-names"))
        # The second draft has the account's URL as the CA wants it in the record; what acmed publishes has our own.
        if not issuers or raw.get("accounturi", uri) != uri:
            return None
        return Challenge(identifier, wildcard, kind, url, None, None, issuers)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    return Challenge(identifier, wildcard, kind, url, token, f"{token}.{thumbprint}")


def _issuers(names: Any) -> tuple[str, ...]:
    """The names in a dns-persist-01 challenge; none where one of them is not in its normal form."""
    if not isinstance(names, list) or len(names) > _MOST_ISSUERS:
        return ()
    return tuple(names) if all(isinstance(name, str) and _is_normal(name) for name in names) else ()


def _is_normal(name: str) -> bool:
    try:
        return name.isascii() and zone_name(name) == name
    except InvalidName:
        return False
