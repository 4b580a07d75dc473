# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first half of an order (RFC 8555 section 7.4): newOrder or the kept one, its authorizations and challenges."""

import asyncio
import ipaddress
import re
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace

from acme import messages

from acmed import journal
from acmed.clientd import objects
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.polling import together
from acmed.clientd.session import Session
from acmed.clientd.store import KeptAuthorization, KeptOrder, Store
from acmed.clientd.transport import Answer
from acmed.names import Identifier

# base64url (RFC 8555 section 8.3). It becomes the name of a file and a part of a path.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_GONE = (400, 403, 404, 410)  # what CAs answer for an order that they no longer have
_OPEN = ("pending", "ready", "processing", "valid")
_ANSWERABLE = ("pending", "processing")
UNREAD = "unread"  # of an authorization that was not fetched yet


@dataclass(frozen=True)
class Wanted:
    """What is to be ordered: the certificate's name here, the identifiers, and the CSR's SHA-256 (hexadecimal)."""

    certificate: str
    identifiers: tuple[Identifier, ...]
    csr_sha256: str


@dataclass(frozen=True)
class Challenge:
    """One that could be answered. wildcard: it is for "*." and the identifier."""

    identifier: Identifier
    wildcard: bool
    type: str
    url: str
    token: str
    key_authorization: str


@dataclass(frozen=True)
class Begun:
    """An order whose challenges wait. created: the CA was asked for a new order."""

    order: KeptOrder
    created: bool
    challenges: tuple[Challenge, ...]


async def begin(session: Session, store: Store, wanted: Wanted) -> Begun:
    """Resumes the kept order where it is the same one and still lives, else creates one, once more if that is lost.

    Raises any ClientError.
    """
    uri = session.account.uri
    if uri is None:
        detail = f"the account is not registered at {session.account.directory}: run `acmectl account add` for it"
        raise AcmeError(
            session.account.directory, messages.Error.with_code("accountDoesNotExist", detail=detail), status=0
        )
    for last in (False, True):
        try:
            order = None if last else await _resumed(session, store, wanted, uri)
            created = order is None
            order = order or await _to_the_end(_created(session, store, wanted, uri))
            return Begun(order, created, await _opened(session, store, wanted.certificate, order))
        except AcmeError as error:
            if not error.final:
                raise
            await store.drop(wanted.certificate)
            if last:
                raise
            journal.notice("The order is lost, a new one is needed: %s", error)
    raise AssertionError("the last turn returns or raises")


async def _resumed(session: Session, store: Store, wanted: Wanted, uri: str) -> KeptOrder | None:
    """The kept order, as the CA shows it now; None where it is another one, or gone."""
    kept = await store.load(wanted.certificate)
    if kept is None:
        return None
    account = session.account
    same = (kept.account, kept.uri, kept.directory) == (account.name, uri, account.directory)
    if not same or kept.csr_sha256 != wanted.csr_sha256 or _set(kept.identifiers) != _set(wanted.identifiers):
        journal.info("The kept order is for another request; a new one is needed")
        return None
    try:
        order = checked(session, await session.get(kept.url), kept.identifiers)
    except AcmeError as error:
        if error.status not in _GONE or error.type in ("accountDoesNotExist", "badNonce"):
            raise
        journal.notice("The kept order is gone: %s", error)
        return None
    if order.status.name not in _OPEN:
        journal.notice("The kept order is %s; a new one is needed", order.status.name)
        return None
    journal.info("Resuming an order that is %s", order.status.name, order=kept.url)
    return shown(kept, order)


async def _to_the_end(creation: Coroutine[None, None, KeptOrder]) -> KeptOrder:
    """Keeps the order that the CA makes also where the caller hangs up meanwhile, who comes back for it."""
    task = asyncio.ensure_future(creation)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _created(session: Session, store: Store, wanted: Wanted, uri: str) -> KeptOrder:
    payload = {"identifiers": [{"type": item.type, "value": item.value} for item in wanted.identifiers]}
    answer = await session.post(await session.authority.resource("newOrder"), payload)
    url = session.location(answer)
    order = checked(session, answer, wanted.identifiers)
    kept = KeptOrder(
        account=session.account.name,
        uri=uri,
        directory=session.account.directory,
        identifiers=wanted.identifiers,
        csr_sha256=wanted.csr_sha256,
        url=url,
        finalize=order.finalize,
        status=order.status.name,
    )
    kept = shown(kept, order)
    await store.save(wanted.certificate, kept)
    journal.info("The CA has an order that is %s", kept.status, order=url)
    if kept.status not in _OPEN:
        raise lost(answer, order.error, f"the CA answered newOrder with an order that is {kept.status}")
    return kept


async def _opened(session: Session, store: Store, certificate: str, order: KeptOrder) -> tuple[Challenge, ...]:
    """The challenges of all pending authorizations; keeps what was learnt. Raises AcmeError, final, for a lost one."""
    if order.status != "pending":
        await store.save(certificate, order)
        return ()
    key = await session.signer.public_key(session.account.name)
    gate = asyncio.Semaphore(session.authority.limits.polls_at_once)

    async def fetch(url: str) -> tuple[KeptAuthorization, tuple[Challenge, ...]]:
        async with gate:
            return _read(await session.get(url), order, key.thumbprint)

    found = await together(fetch(item.url) for item in order.authorizations)
    await store.save(certificate, replace(order, authorizations=tuple(kept for kept, _ in found)))
    return tuple(challenge for _, challenges in found for challenge in challenges)


def _read(answer: Answer, order: KeptOrder, thumbprint: str) -> tuple[KeptAuthorization, tuple[Challenge, ...]]:
    """An authorization, and its challenges if it is pending. Raises AcmeError, final, where it cannot become valid."""
    body = objects.authorization(answer)
    status = body.status.name
    identifier = Identifier(body.identifier.typ.name, body.identifier.value)
    base, star = _set([identifier]), _set([Identifier(identifier.type, f"*.{identifier.value}")])
    ordered = _set(order.identifiers)
    wildcard = bool(body.wildcard) or not base <= ordered
    if not (star if wildcard else base) <= ordered:
        raise Unreachable(answer.url, f"is an authorization for {identifier}, which was not ordered")
    name = f"*.{identifier}" if wildcard else str(identifier)
    if status == "valid":
        return KeptAuthorization(answer.url, identifier, wildcard, status, ()), ()
    if status != "pending":
        raise lost(answer, failure(body), f"the authorization of {name} is {status}")
    challenges = tuple(
        Challenge(identifier, wildcard, raw["type"], raw["url"], raw["token"], f"{raw['token']}.{thumbprint}")
        for raw in (item.chall.to_partial_json() for item in body.challenges if item.status.name in _ANSWERABLE)
        if isinstance(raw.get("token"), str) and _TOKEN.fullmatch(raw["token"])
    )
    if not challenges:
        kinds = ", ".join(sorted({item.chall.to_partial_json()["type"] for item in body.challenges})) or "none"
        problem = messages.Error(typ="about:blank", detail=f"{name}: no challenge can be answered (offered: {kinds})")
        raise AcmeError(answer.url, problem, answer.status)
    return KeptAuthorization(
        answer.url, identifier, wildcard, status, tuple(item.url for item in challenges)
    ), challenges


def checked(session: Session, answer: Answer, identifiers: Iterable[Identifier]) -> messages.Order:
    """The order in an answer, for just these identifiers, and with no URL of a foreign origin. Raises Unreachable."""
    order = objects.order(answer)
    found = _set(Identifier(item.typ.name, item.value) for item in order.identifiers)
    if found != _set(identifiers):
        names = ", ".join(value for _, value in sorted(found))
        raise Unreachable(answer.url, f"is an order for other identifiers than were asked for: {names}")
    for url in (order.finalize, *order.authorizations, *([order.certificate] if order.certificate else [])):
        session.authority.check(url)
    return order


def shown(kept: KeptOrder, order: messages.Order) -> KeptOrder:
    """kept, as the CA shows the order now."""
    known = {item.url: item for item in kept.authorizations}
    unknown = Identifier("", "")
    return replace(
        kept,
        status=order.status.name,
        finalize=order.finalize,
        certificate=order.certificate,
        authorizations=tuple(
            known.get(url) or KeptAuthorization(url, unknown, False, UNREAD, ())
            for url in dict.fromkeys(order.authorizations)
        ),
    )


def failure(body: messages.Authorization) -> messages.Error | None:
    """The error of the challenge that failed, if the CA tells."""
    return next((challenge.error for challenge in body.challenges if challenge.error), None)


def lost(answer: Answer, problem: messages.Error | None, otherwise: str) -> AcmeError:
    """The error of an order that can no longer become valid."""
    problem = problem or messages.Error(typ="about:blank", detail=otherwise)
    return AcmeError(answer.url, problem, answer.status, final=True)


def _set(identifiers: Iterable[Identifier]) -> set[tuple[str, str]]:
    """Comparable: DNS names without case, IP addresses in any of their forms."""
    return {(item.type, _canonical(item)) for item in identifiers}


def _canonical(identifier: Identifier) -> str:
    try:
        return str(ipaddress.ip_address(identifier.value)) if identifier.type == "ip" else identifier.value.lower()
    except ValueError:
        return identifier.value
