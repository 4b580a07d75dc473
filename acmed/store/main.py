# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a key store, as its unit starts it."""

import asyncio
import importlib
import os
import sys
from pathlib import Path

from acmed import config, daemon, journal, varlink
from acmed.config import Account
from acmed.config.keysource import Kind
from acmed.store.opened import OpenedKey
from acmed.store.service import StoreService

_IDLE = 60.0  # seconds: an order signs every few seconds, and opening a key may take one


def main() -> None:
    """Runs until idle or SIGTERM. The argument is the kind; the unit gives CREDENTIALS_DIRECTORY and the socket."""
    kind = Kind(sys.argv[1])
    configuration = config.load().configuration
    journal.setup(f"acme-store-{kind}", configuration.log_level(f"acme-store-{kind}"))
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if not credentials:
        raise SystemExit(f"CREDENTIALS_DIRECTORY is not set: this program is started by acme-store-{kind}.service.")
    # Only this kind's libraries are loaded, and only its unit's sandbox allows what they do.
    opener = importlib.import_module(f"acmed.store.{kind}")

    async def open_key(account: Account) -> OpenedKey:
        opened: OpenedKey = await opener.open_key(account, Path(credentials))
        return opened

    asyncio.run(_run(StoreService(kind, configuration.accounts, open_key)))


async def _run(service: StoreService) -> None:
    try:
        await daemon.serve({"store": varlink.Service(varlink.load("org.acmed.Store"), service)}, _IDLE)
    finally:
        await service.close()
