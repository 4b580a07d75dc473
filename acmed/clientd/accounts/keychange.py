# SPDX-License-Identifier: LGPL-2.1-or-later
"""The change to an account's next key (RFC 8555 section 7.3.5), which may be asked for again after any crash.

A next key that the CA does not take can be given up for another one, but only where the CA cannot come to know it any
more: it says that it does not know it, and no request to change to it is without an answer.
"""

import asyncio
import time
from urllib.parse import urljoin

from acmed import journal
from acmed.clientd.accounts.outstanding import Outstanding
from acmed.clientd.ca.session import Session
from acmed.clientd.errors import AcmeError, ClientError, NextKeyRefused

_CONFLICT = 409  # the next key has an account, whose URL is in Location
# What CAs say to a signature by the old key when the account has the next one, or as Pebble, to the change itself.
_UNKNOWN_KEY = (400, 401, 403, 404, _CONFLICT)
_NOT_YET = ("badNonce", "rateLimited")


async def change_key(session: Session, outstanding: Outstanding) -> None:
    """Returns when the CA knows the account by its next key. Raises NextKeyRefused where it does not and will not,
    AcmeError where that key is another account's, and any ClientError; OSError before the CA was asked.
    """
    name, uri = session.account.name, session.uri
    since = await asyncio.to_thread(outstanding.since, name, uri)
    await asyncio.to_thread(outstanding.note, name, uri, time.time())
    doubts: list[ClientError] = []
    try:
        await _change_key(session, doubts)
    except ClientError as error:
        if not doubts and since is not None:
            await asyncio.to_thread(outstanding.note, name, uri, since)
        elif not doubts:
            await asyncio.to_thread(outstanding.settle, name)
        if isinstance(error, NextKeyRefused) and (doubts or since is not None):
            error.refusal.advise(
                "a request for this change got no answer, and the CA may still come to it; try again in an hour"
            )
            raise error.refusal from error
        raise
    await asyncio.to_thread(outstanding.settle, name)


async def _change_key(session: Session, doubts: list[ClientError]) -> None:
    """doubts gets the failures of requests that the CA may have carried out, or may still carry out."""

    def failed(error: ClientError) -> None:
        if not (isinstance(error, AcmeError) and error.is_refusal):
            doubts.append(error)

    try:
        await session.change_key(failed)
    except AcmeError as error:
        if error.status not in _UNKNOWN_KEY or error.type in _NOT_YET:
            raise
        told = error.status == _CONFLICT and error.location
        owner = urljoin(error.url, told) if told else await _owner(session, error)
        if owner != session.uri:
            detail = f"the next key of {session.account.name} is already the key of another account, {owner}"
            raise AcmeError.told(error.url, detail, "conflict") from error
        journal.notice("The CA had changed the key before")
    else:
        journal.notice("The CA has changed the key")


async def _owner(session: Session, refusal: AcmeError) -> str:
    """The URL of the account that the next key has. Raises NextKeyRefused where it has none."""
    try:
        return session.location(await session.lookup(by_next_key=True))
    except AcmeError as error:
        if error.type != "accountDoesNotExist" and not await _has_old_key(session, error):
            raise
        raise NextKeyRefused(refusal) from error


async def _has_old_key(session: Session, error: AcmeError) -> bool:
    """Whether the account still has the key that it had, by the CA's word. error: what it said to a lookup by the next
    key, which it cannot look for where it does not take keys of that type.
    """
    if not error.is_refusal or error.type in _NOT_YET:
        return False
    try:
        return session.location(await session.lookup(by_next_key=False)) == session.uri
    except AcmeError:
        return False
