# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that a signer has which is reached by a connection: acme-keyd --socket or --stdio, or lacme-accountd.

A connection that was kept, and broke, is made anew, and what was being signed is signed again: the same bytes signed
twice are harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Self

from acmed import journal
from acmed.config import Account
from acmed.store import lacme
from acmed.store.opened import Unavailable

# Seconds. Opening a key, and a signature with an opened one, each take less than the 12 s that acme-keyd waits; it asks
# for the key before each signature.
_OPEN = 8.0
_SIGN = 3.0  # the first time, on a connection that may have died unseen, and the second time
_REOPEN = 4.0  # in between


@dataclass(frozen=True)
class Ending:
    """Why a connection has ended. deliberate: the far end wanted it so, and would again."""

    reason: str
    deliberate: bool = False


class _Silent(lacme.Lost):
    """Nothing came in time."""


class Link(Protocol):
    """A connection. Its streams have the limit lacme.MAX_LINE."""

    @property
    def reader(self) -> asyncio.StreamReader: ...

    @property
    def writer(self) -> asyncio.StreamWriter: ...

    async def ending(self) -> Ending:
        """Why it has ended, once the far end has closed it or is silent. It is closed then."""

    async def close(self) -> None: ...


Connect = Callable[[], Awaitable[Link]]


class Remote:
    """An opened key. keep: its connection stays for the next signature; else who answers is free for others."""

    def __init__(self, connect: Connect, keep: bool, key: lacme.FarKey) -> None:
        self._connect = connect
        self._keep = keep
        self._key = key
        self._link: Link | None = None

    @classmethod
    async def open(cls, account: Account, connect: Connect, keep: bool) -> Self:
        """Raises Unavailable."""
        link, key = await _open(connect, _OPEN)
        remote = cls(connect, keep, key)
        await remote._use(link)
        if key.public is None and account.uri is None:
            await remote.close()
            raise Unavailable(
                f"it does not show the key, so the account cannot be looked up: give it uri = {key.uri!r}"
            )
        return remote

    @property
    def jwk(self) -> dict[str, str] | None:
        return self._key.public.jwk if self._key.public else None

    @property
    def algorithm(self) -> str:
        return self._key.algorithm

    @property
    def thumbprint(self) -> str:
        return self._key.thumbprint

    @property
    def uri(self) -> str | None:
        return self._key.uri

    async def sign(self, data: bytes) -> bytes:
        """The JWS signature. Raises Unavailable."""
        link, self._link = self._link, None
        if link and not link.reader.at_eof():
            try:
                return await self._sign_by(link, data)
            except _Silent:
                journal.debug("The far end is silent, and is asked again on a new connection")
            except lacme.Lost:
                ending = await link.ending()
                if ending.deliberate:
                    raise _refused(ending) from None
                journal.debug("The connection broke, and is made anew: %s", ending.reason)
        if link:
            await link.close()
        return await self._sign_anew(data)

    async def close(self) -> None:
        if self._link:
            await self._link.close()

    async def _sign_anew(self, data: bytes) -> bytes:
        link, key = await _open(self._connect, _REOPEN)
        if key != self._key:
            await link.close()
            raise Unavailable("it has another key now than before; try again")
        try:
            return await self._sign_by(link, data)
        except _Silent:
            raise Unavailable(f"it does not answer within {_SIGN:g} s") from None
        except lacme.Lost:
            raise _refused(await link.ending()) from None

    async def _sign_by(self, link: Link, data: bytes) -> bytes:
        """Raises Lost and Unavailable; then the link is of no use any more, as an answer may still come."""
        try:
            async with asyncio.timeout(_SIGN):
                signature = await lacme.sign(link.reader, link.writer, self._key, data)
        except TimeoutError as error:
            await link.close()
            raise _Silent from error
        except (asyncio.CancelledError, Unavailable):
            await link.close()
            raise
        await self._use(link)
        return signature

    async def _use(self, link: Link) -> None:
        """For the next signature."""
        if self._keep:
            self._link = link
        else:
            await link.close()


async def _open(connect: Connect, seconds: float) -> tuple[Link, lacme.FarKey]:
    """A connection whose far end has greeted. Raises Unavailable."""
    link = await connect()
    try:
        async with asyncio.timeout(seconds):
            return link, await lacme.receive_key(link.reader)
    except lacme.Lost:
        raise Unavailable((await link.ending()).reason) from None
    except TimeoutError:
        await link.close()
        raise Unavailable(f"it does not answer within {seconds:g} s") from None
    except (asyncio.CancelledError, Unavailable):
        await link.close()
        raise


def _refused(ending: Ending) -> Unavailable:
    return Unavailable(f"it does not sign this: {ending.reason}")
