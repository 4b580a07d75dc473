# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Store, for acme-keyd: opens keys when they are needed, and keeps them open while the daemon runs."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from acmed import base64url, journal
from acmed.config import Account
from acmed.config.keysource import Kind
from acmed.store.opened import OpenedKey, Unavailable, Waiting
from acmed.store.source import Source
from acmed.store.turn import Turn
from acmed.varlink import Call, VarlinkError

Answer = dict[str, Any]
Open = Callable[[Account], Awaitable[OpenedKey]]

# Seconds that a key gets to be closed: in a call that acme-keyd waits for, and in the end.
_CLOSE = 0.8
_LAST = 5.0


@dataclass(frozen=True)
class _Opened:
    """A key, and what it was opened from. unlocked: by somebody, who is not to be asked again."""

    source: Source
    key: OpenedKey
    unlocked: bool


@dataclass(frozen=True)
class _Locked:
    """A key that waits for somebody. reason: what to do."""

    source: Source
    opening: "asyncio.Task[OpenedKey]"
    reason: str

    @property
    def failed(self) -> bool:
        return self.opening.done() and (self.opening.cancelled() or self.opening.exception() is not None)


class StoreService:
    """Answers for the accounts whose key is of one kind."""

    def __init__(self, kind: Kind, accounts: Mapping[str, Account], open_key: Open) -> None:
        self._kind = kind
        self._accounts = accounts
        self._open = open_key
        self._opened: dict[str, _Opened] = {}
        self._locked: dict[str, _Locked] = {}
        self._turns: dict[str, Turn] = defaultdict(Turn)
        self._failed: dict[str, tuple[float, VarlinkError]] = {}  # when a key could not be opened, and why

    @property
    def needed(self) -> bool:
        """Whether the daemon has to stay: somebody is asked for a passphrase, or has given one."""
        locked = [(name, one.source) for name, one in self._locked.items() if not one.failed]
        unlocked = [(name, one.source) for name, one in self._opened.items() if one.unlocked]
        return any(self._is_current(name, source) for name, source in [*locked, *unlocked])

    async def get_key(self, _: Call, account: str) -> Answer:
        configured = await self._find(account)
        opened = self._opened.get(account)
        if opened and opened.source == Source.of(configured):
            return _shown(opened.key)  # nobody's signature is waited for
        async with self._turn(configured):
            return _shown(await self._key(configured))

    async def sign(self, _: Call, account: str, input: str) -> Answer:
        configured = await self._find(account)
        async with self._turn(configured):
            key = await self._key(configured)
            try:
                return {"signature": base64url.encode(await key.sign(input.encode()))}
            except Unavailable as error:
                await self._forget(account)
                raise _unavailable(configured, str(error)) from error
            except asyncio.CancelledError:  # it took too long, and is in no state that is known
                await self._forget(account)
                raise

    async def forget_others(self) -> None:
        """Gives up what is held for accounts whose key is not ours any more, or another one now."""
        held: list[tuple[str, _Opened | _Locked]] = [*self._opened.items(), *self._locked.items()]
        for name, one in held:
            if not self._is_current(name, one.source):
                with suppress(Unavailable):
                    async with self._turns[name].taken():
                        await self._forget(name)

    @asynccontextmanager
    async def _turn(self, account: Account) -> AsyncIterator[None]:
        """One call at a time. Who has waited for an attempt to open the key that failed is told why, as another would
        take longer than acme-keyd waits. Raises VarlinkError KeyUnavailable.
        """
        since = time.monotonic()
        try:
            async with self._turns[account.name].taken():
                when, error = self._failed.get(account.name, (-math.inf, None))
                if error and when > since:
                    raise error
                yield
        except Unavailable as late:
            raise _unavailable(account, str(late)) from late

    async def close(self) -> None:
        """Gives up all keys."""
        for name in [*self._opened, *self._locked]:
            await self._forget(name, _LAST)

    async def _find(self, name: str) -> Account:
        """Raises VarlinkError UnknownAccount."""
        account = self._served(name)
        if account is None:
            await self.forget_others()
            raise VarlinkError("org.acmed.Store.UnknownAccount", account=name)
        return account

    def _served(self, name: str) -> Account | None:
        account = self._accounts.get(name)
        return account if account and account.key and account.key.kind is self._kind else None

    def _is_current(self, name: str, source: Source) -> bool:
        account = self._served(name)
        return account is not None and Source.of(account) == source

    async def _key(self, account: Account) -> OpenedKey:
        """Raises VarlinkError KeyUnavailable."""
        known = self._opened.get(account.name) or self._locked.get(account.name)
        source = Source.of(account)
        if known and known.source != source:
            await self._forget(account.name)
        if opened := self._opened.get(account.name):
            return opened.key
        failed = ""
        if locked := self._locked.get(account.name):
            if not locked.opening.done():
                raise _unavailable(account, locked.reason)
            del self._locked[account.name]
            try:
                return self._keep(account, locked.source, locked.opening.result(), unlocked=True)
            except Unavailable as error:
                failed = f"{error}; now "
        return await self._open_now(account, source, failed)

    async def _open_now(self, account: Account, source: Source, failed: str) -> OpenedKey:
        """failed: what came of it when somebody was to unlock it. Raises VarlinkError KeyUnavailable."""
        try:
            return self._keep(account, source, await self._open(account), unlocked=False)
        except Waiting as waiting:
            reason = f"{failed}{waiting}"
            waiting.opening.add_done_callback(partial(_tell, account))
            self._locked[account.name] = _Locked(source, waiting.opening, reason)
            raise _unavailable(account, reason) from waiting
        except Unavailable as error:
            told = _unavailable(account, f"{failed}{error}")
            self._failed[account.name] = time.monotonic(), told
            raise told from error

    def _keep(self, account: Account, source: Source, key: OpenedKey, unlocked: bool) -> OpenedKey:
        self._opened[account.name] = _Opened(source, key, unlocked)
        journal.info("Opened the key of account %s: %s", account.name, account.key, account=account.name)
        return key

    async def _forget(self, name: str, seconds: float = _CLOSE) -> None:
        """What has not ended after these seconds ends by itself."""
        ending: list[asyncio.Task[Any]] = []
        if opened := self._opened.pop(name, None):
            ending.append(asyncio.create_task(opened.key.close()))
        if locked := self._locked.pop(name, None):
            locked.opening.cancel()
            ending.append(locked.opening)
        if ending:
            await asyncio.wait(ending, timeout=seconds)


def _shown(key: OpenedKey) -> Answer:
    return {"jwk": key.jwk, "thumbprint": key.thumbprint, "algorithm": key.algorithm, "uri": key.uri}


def _tell(account: Account, opening: "asyncio.Task[OpenedKey]") -> None:
    """Whoever has unlocked a key, or not, may look into the journal."""
    if opening.cancelled():
        return
    error = opening.exception()
    if error is None:
        journal.info("The key of account %s is unlocked: %s", account.name, account.key, account=account.name)
    elif isinstance(error, Unavailable):
        journal.warning("The key of account %s is not unlocked: %s", account.name, error, account=account.name)
    else:
        journal.exception("Unlocking a key failed", error)


def _unavailable(account: Account, why: str) -> VarlinkError:
    journal.warning("The key of account %s, %s, cannot be used: %s", account.name, account.key, why)
    reason = f"{account.key} of account {account.name} cannot be used: {why}"
    return VarlinkError("org.acmed.Store.KeyUnavailable", account=account.name, reason=reason)
