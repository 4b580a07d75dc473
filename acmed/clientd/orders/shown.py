# SPDX-License-Identifier: LGPL-2.1-or-later
"""An order as the CA shows it, held against what was ordered."""

import ipaddress
from collections.abc import Iterable
from dataclasses import replace

from acme import messages

from acmed.clientd.ca import objects
from acmed.clientd.ca.session import Session
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.orders.store import KeptAuthorization, KeptOrder
from acmed.names import Identifier

UNFINISHED = ("pending", "ready")
OPEN = (*UNFINISHED, "processing", "valid")
UNREAD = "unread"  # of an authorization that was not fetched yet
GONE = (404, 410)  # what is no longer there, whatever the answer's body is
_REFUSED = (400, 403)  # what CAs answer, too, for an order that they no longer have


def checked(session: Session, answer: Answer, identifiers: Iterable[Identifier]) -> messages.Order:
    """The order in an answer, for just these identifiers, and with no URL of a foreign origin. Raises Unreachable."""
    order = objects.order(answer)
    found = comparable(Identifier(item.typ.name, item.value) for item in order.identifiers)
    if found != comparable(identifiers):
        names = ", ".join(value for _, value in sorted(found))
        raise Unreachable(answer.url, f"is an order for other identifiers than were asked for: {names}")
    for url in (order.finalize, *order.authorizations, *([order.certificate] if order.certificate else [])):
        session.authority.check(url)
    return order


def shown(kept: KeptOrder, order: messages.Order) -> KeptOrder:
    """kept, as the CA shows the order now."""
    known = {item.url: item for item in kept.authorizations}
    return replace(
        kept,
        status=order.status.name,
        finalize=order.finalize,
        certificate=order.certificate,
        authorizations=tuple(known.get(url) or unread(url) for url in dict.fromkeys(order.authorizations)),
    )


def unread(url: str) -> KeptAuthorization:
    """An authorization of which nothing is known but its URL."""
    return KeptAuthorization(url, Identifier("", ""), False, UNREAD, ())


def is_gone(error: AcmeError) -> bool:
    """Whether an order that was asked for is no longer there."""
    gone = error.status in GONE or (error.status in _REFUSED and error.understood)
    return gone and error.type not in ("accountDoesNotExist", "badNonce")


async def authorization(session: Session, url: str) -> tuple[Answer, messages.Authorization]:
    """Fetches it. Raises AcmeError, final, where the CA no longer has it, and any ClientError."""
    try:
        answer = await session.get(url)
    except AcmeError as error:
        error.final = error.final or error.status in GONE
        raise
    return answer, objects.authorization(answer)


def failure(body: messages.Authorization) -> messages.Error | None:
    """The error of the challenge that failed, if the CA tells."""
    return next((challenge.error for challenge in body.challenges if challenge.error), None)


def lost(answer: Answer, problem: messages.Error | None, otherwise: str) -> AcmeError:
    """The error of an order that can no longer become valid."""
    problem = problem or messages.Error(typ="about:blank", detail=otherwise)
    return AcmeError(answer.url, problem, answer.status, final=True)


def comparable(identifiers: Iterable[Identifier]) -> set[tuple[str, str]]:
    """DNS names without case, IP addresses in any of their forms."""
    return {(item.type, _canonical(item)) for item in identifiers}


def _canonical(identifier: Identifier) -> str:
    try:
        return str(ipaddress.ip_address(identifier.value)) if identifier.type == "ip" else identifier.value.lower()
    except ValueError:
        return identifier.value
