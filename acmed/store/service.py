# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Store, for acme-keyd: opens keys when they are needed, and keeps them open while the daemon runs."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from acmed import base64url, journal
from acmed.config import Account
from acmed.config.keysource import Kind
from acmed.store.opened import OpenedKey, Unavailable, Waiting
from acmed.varlink import Call, VarlinkError

Answer = dict[str, Any]
Open = Callable[[Account], Awaitable[OpenedKey]]


@dataclass(frozen=True)
class _Opened:
    """A key, and what configuration said when it was opened. unlocked: by somebody, who is not to be asked again."""

    account: Account
    key: OpenedKey
    unlocked: bool


@dataclass(frozen=True)
class _Locked:
    """A key that waits for somebody. reason: what to do."""

    account: Account
    opening: "asyncio.Task[OpenedKey]"
    reason: str


class StoreService:
    """Answers for the accounts whose key is of one kind."""

    def __init__(self, kind: Kind, accounts: Mapping[str, Account], open_key: Open) -> None:
        self._kind = kind
        self._accounts = accounts
        self._open = open_key
        self._opened: dict[str, _Opened] = {}
        self._locked: dict[str, _Locked] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failed: dict[str, tuple[float, VarlinkError]] = {}  # when a key could not be opened, and why

    @property
    def needed(self) -> bool:
        """Whether the daemon has to stay: somebody is asked for a passphrase, or has given one."""
        return bool(self._locked) or any(one.unlocked for one in self._opened.values())

    async def get_key(self, _: Call, account: str) -> Answer:
        configured = self._find(account)
        async with self._turn(account):
            key = await self._key(configured)
            return {"jwk": key.jwk, "thumbprint": key.thumbprint, "algorithm": key.algorithm, "uri": key.uri}

    async def sign(self, _: Call, account: str, input: str) -> Answer:
        configured = self._find(account)
        async with self._turn(account):
            key = await self._key(configured)
            try:
                return {"signature": base64url.encode(await key.sign(input.encode()))}
            except Unavailable as error:
                await self._forget(account)
                raise _unavailable(configured, str(error)) from error

    @asynccontextmanager
    async def _turn(self, account: str) -> AsyncIterator[None]:
        """One call at a time. Who has waited for an attempt to open the key that failed is told why, as another would
        take longer than acme-keyd waits. Raises VarlinkError KeyUnavailable.
        """
        since = time.monotonic()
        async with self._locks[account]:
            when, error = self._failed.get(account, (-math.inf, None))
            if error and when > since:
                raise error
            yield

    async def close(self) -> None:
        """Gives up all keys."""
        for name in [*self._opened, *self._locked]:
            await self._forget(name)

    def _find(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None or account.key is None or account.key.kind is not self._kind:
            raise VarlinkError("org.acmed.Store.UnknownAccount", account=name)
        return account

    async def _key(self, account: Account) -> OpenedKey:
        """Raises VarlinkError KeyUnavailable."""
        known = self._opened.get(account.name) or self._locked.get(account.name)
        if known and (known.account.key, known.account.key_command) != (account.key, account.key_command):
            await self._forget(account.name)
        if opened := self._opened.get(account.name):
            return opened.key
        failed = ""
        if locked := self._locked.get(account.name):
            if not locked.opening.done():
                raise _unavailable(account, locked.reason)
            del self._locked[account.name]
            try:
                return self._keep(account, locked.opening.result(), unlocked=True)
            except Unavailable as error:
                failed = f"{error}; now "
        return await self._open_now(account, failed)

    async def _open_now(self, account: Account, failed: str) -> OpenedKey:
        """failed: what came of it when somebody was to unlock it. Raises VarlinkError KeyUnavailable."""
        try:
            return self._keep(account, await self._open(account), unlocked=False)
        except Waiting as waiting:
            reason = f"{failed}{waiting}"
            waiting.opening.add_done_callback(partial(_tell, account))
            self._locked[account.name] = _Locked(account, waiting.opening, reason)
            raise _unavailable(account, reason) from waiting
        except Unavailable as error:
            told = _unavailable(account, f"{failed}{error}")
            self._failed[account.name] = time.monotonic(), told
            raise told from error

    def _keep(self, account: Account, key: OpenedKey, unlocked: bool) -> OpenedKey:
        self._opened[account.name] = _Opened(account, key, unlocked)
        journal.info("Opened the key of account %s: %s", account.name, account.key, account=account.name)
        return key

    async def _forget(self, name: str) -> None:
        if opened := self._opened.pop(name, None):
            await opened.key.close()
        if locked := self._locked.pop(name, None):
            locked.opening.cancel()
            await asyncio.wait([locked.opening])


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
