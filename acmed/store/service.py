# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Store, for acme-keyd: opens keys when they are needed, and keeps them open while the daemon runs."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from acmed import journal
from acmed.config import Account
from acmed.config.keysource import Kind
from acmed.keyd import jws
from acmed.store.opened import OpenedKey, Unavailable
from acmed.varlink import Call, VarlinkError

Answer = dict[str, Any]
Open = Callable[[Account], Awaitable[OpenedKey]]


class StoreService:
    """Answers for the accounts whose key is of one kind."""

    def __init__(self, kind: Kind, accounts: Mapping[str, Account], open_key: Open) -> None:
        self._accounts = {name: one for name, one in accounts.items() if one.key and one.key.kind is kind}
        self._open = open_key
        self._opened: dict[str, OpenedKey] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get_key(self, _: Call, account: str) -> Answer:
        configured = self._find(account)
        async with self._locks[account]:
            key = await self._key(configured)
            return {"jwk": key.jwk, "thumbprint": key.thumbprint, "algorithm": key.algorithm, "uri": key.uri}

    async def sign(self, _: Call, account: str, input: str) -> Answer:
        configured = self._find(account)
        async with self._locks[account]:
            key = await self._key(configured)
            try:
                return {"signature": jws.encode(await key.sign(input.encode()))}
            except Unavailable as error:
                await self._opened.pop(account).close()
                raise _unavailable(configured, error) from error

    async def close(self) -> None:
        """Gives up all keys."""
        while self._opened:
            await self._opened.popitem()[1].close()

    def _find(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            raise VarlinkError("org.acmed.Store.UnknownAccount", account=name)
        return account

    async def _key(self, account: Account) -> OpenedKey:
        if account.name not in self._opened:
            try:
                self._opened[account.name] = await self._open(account)
            except Unavailable as error:
                raise _unavailable(account, error) from error
            journal.info("Opened the key of account %s: %s", account.name, account.key, account=account.name)
        return self._opened[account.name]


def _unavailable(account: Account, error: Unavailable) -> VarlinkError:
    journal.warning("The key of account %s, %s, cannot be used: %s", account.name, account.key, error)
    reason = f"{account.key} of account {account.name} cannot be used: {error}"
    return VarlinkError("org.acmed.Store.KeyUnavailable", account=account.name, reason=reason)
