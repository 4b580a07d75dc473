# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a key store, as its unit starts it."""

import asyncio
import importlib
import os
import sys
from pathlib import Path

from acmed import daemon, journal, varlink
from acmed.config import Account
from acmed.config.current import CurrentAccounts
from acmed.config.keysource import Kind
from acmed.store.opened import OpenedKey
from acmed.store.service import StoreService

_IDLE = 60.0  # seconds: an order signs every few seconds, and opening a key may take one


def main() -> None:
    """Runs until idle or SIGTERM. The argument is the kind; the unit gives CREDENTIALS_DIRECTORY and the socket."""
    kind = Kind(sys.argv[1])
    accounts = CurrentAccounts()
    journal.setup(f"acme-store-{kind}", accounts.configuration.log_level(f"acme-store-{kind}"))
    credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", os.devnull))  # unix: has none
    # Only this kind's libraries are loaded, and only its unit's sandbox allows what they do.
    opener = importlib.import_module(f"acmed.store.{kind}")

    async def open_key(account: Account) -> OpenedKey:
        opened: OpenedKey = await opener.open_key(account, credentials)
        return opened

    asyncio.run(_run(StoreService(kind, accounts, open_key)))


class _Socket(varlink.Service):
    """Not idle while the store is needed."""

    def __init__(self, store: StoreService) -> None:
        super().__init__(varlink.load("org.acmed.Store"), store)
        self._store = store

    @property
    def busy(self) -> bool:
        return super().busy or self._store.needed


async def _run(store: StoreService) -> None:
    tidying = asyncio.create_task(_tidy(store))
    try:
        await daemon.serve({"store": _Socket(store)}, _IDLE)
    finally:
        tidying.cancel()
        await store.close()


async def _tidy(store: StoreService) -> None:
    """Nobody asks any more for the key of an account that was removed."""
    while True:
        await asyncio.sleep(_IDLE)
        await store.forget_others()
