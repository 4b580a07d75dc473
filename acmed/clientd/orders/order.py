# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first half of an order (RFC 8555 section 7.4): a new one or the kept one, with its challenges."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace

from acmed import journal
from acmed.clientd.ca import objects
from acmed.clientd.ca.session import Session
from acmed.clientd.errors import AcmeError
from acmed.clientd.orders import authorizations, recovery
from acmed.clientd.orders.authorizations import Challenge
from acmed.clientd.orders.creation import Wanted, create
from acmed.clientd.orders.shown import OPEN, UNFINISHED, checked, comparable, is_gone, shown
from acmed.clientd.orders.store import KeptOrder, Store


@dataclass(frozen=True)
class Begun:
    """An order whose challenges wait. created: the CA was asked for a new order."""

    order: KeptOrder
    created: bool
    challenges: tuple[Challenge, ...]


Made = Callable[[Begun], Awaitable[None]]


async def begin(session: Session, store: Store, wanted: Wanted, made: Made | None) -> Begun | None:
    """Resumes the kept order where it is the same one and still lives, else creates one, once, and tells made before
    its authorizations are read.

    None where made is None and so no new one is to be made, or where the CA does not take it as one that replaces
    another. Raises any ClientError.
    """
    _ = session.uri  # an account that is not registered orders nothing
    for last in (False, True):
        created = False
        try:
            order = None if last else await _resumed(session, store, wanted)
            created = order is None
            if order is None and made:
                order = await _to_the_end(_created(session, store, wanted))
                if order is not None:
                    await made(Begun(order, created, ()))
            if order is None:
                return None
            order, challenges = await _opened(session, order)
            await store.save(wanted.certificate, order)
            return Begun(order, created, challenges)
        except AcmeError as error:
            if not error.final:
                raise
            await store.drop(wanted.certificate)
            recovery.settle(session.authority.notes, wanted.certificate)
            if created:
                raise
            journal.notice("The order is lost, a new one is needed: %s", error)
    raise AssertionError("the last turn returns or raises")


async def _resumed(session: Session, store: Store, wanted: Wanted) -> KeptOrder | None:
    """The kept order, as the CA shows it now; None where it is another one, or gone."""
    kept = await store.load(wanted.certificate)
    if kept is None:
        return None
    if not _is_same(kept, session, wanted):
        journal.info("The kept order is for another request; a new one is needed")
        return None
    if not kept.url:
        return replace(kept, status="pending")  # its authorizations will tell
    try:
        answer = await session.get(kept.url)
    except AcmeError as error:
        if not is_gone(error):
            raise
        journal.notice("The kept order is gone: %s", error)
        return None
    order = checked(session, answer, kept.identifiers)
    status, until = order.status.name, objects.expires(answer)
    if status in UNFINISHED and until is not None and until <= session.authority.now() * 1_000_000:
        status = "expired"
    if status not in OPEN:
        journal.notice("The kept order is %s; a new one is needed", status)
        return None
    journal.info("Resuming an order that is %s", status, order=kept.url)
    return shown(kept, order)


def _is_same(kept: KeptOrder, session: Session, wanted: Wanted) -> bool:
    whose = (session.account.name, session.uri, session.account.directory)
    return (
        (kept.account, kept.uri, kept.directory) == whose
        and (kept.csr_sha256, kept.profile) == (wanted.csr_sha256, wanted.profile)
        and comparable(kept.identifiers) == comparable(wanted.identifiers)
    )


async def _to_the_end(creation: Coroutine[None, None, KeptOrder | None]) -> KeptOrder | None:
    """Keeps the order that the CA makes also where the caller hangs up meanwhile, who comes back for it."""
    task = asyncio.ensure_future(creation)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _created(session: Session, store: Store, wanted: Wanted) -> KeptOrder | None:
    # One at a time for the same names: an order is taken for a lost one where nobody else here has it.
    async with session.authority.turns[session.uri, frozenset(comparable(wanted.identifiers))]:
        kept = await create(session, store, wanted)
        if kept is not None:
            await store.save(wanted.certificate, kept)
            recovery.settle(session.authority.notes, wanted.certificate)
            journal.info("The CA has an order that is %s", kept.status, order=kept.url)
        return kept


async def _opened(session: Session, order: KeptOrder) -> tuple[KeptOrder, tuple[Challenge, ...]]:
    """The order with what is pending. Where the authorizations are all that is wanted, they say whether it is."""
    if order.status != "pending":
        return order, ()
    order, challenges = await authorizations.read(session, order)
    if not order.url and not challenges:
        order = replace(order, status="ready")
    return order, challenges
