# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys in a store, and what the store says of them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from acmed import varlink
from acmed.config import Account
from acmed.config.keysource import KeySource, Kind
from acmed.keyd.credentials import Credentials
from acmed.keyd.keyring import Keyring
from acmed.keyd.keys import Held, SigningKey
from acmed.store.opened import OpenedKey
from acmed.store.service import StoreService
from acmed.varlink import VarlinkError
from tests.unit.keyd.rig import CA, URI, new_key

INTERFACE = varlink.load("org.acmed.Store")


@dataclass(frozen=True)
class Registered(Held):
    """A key of which the store may know the account's URL, as an acme-keyd elsewhere does."""

    uri: str | None

    async def close(self) -> None:
        pass


@asynccontextmanager
async def store(directory: Path, account: Account, key: OpenedKey) -> AsyncIterator[None]:
    async def open_key(_: Account) -> OpenedKey:
        return key

    service = varlink.Service(INTERFACE, StoreService(Kind.UNIX, {account.name: account}, open_key))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "unix.sock"))
        listener.listen()
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, service.accept, listener)
        yield
        asyncio.get_running_loop().remove_reader(listener)
    await service.drain()


def find(directory: Path, known: str | None, configured: str | None = URI) -> SigningKey:
    """known: the URL that the store has."""
    account = Account("default", f"{CA}/dir", uri=configured, key=KeySource(Kind.UNIX, "/run/far.sock"))

    async def run() -> SigningKey:
        async with store(directory, account, Registered(new_key(), known)):
            return await Keyring(Credentials({}, {}, {}), directory).find(account)

    return asyncio.run(run())


@pytest.mark.parametrize(("known", "configured"), [(URI, URI), (None, URI), (URI, None), (None, None)])
def test_a_key_in_a_store(tmp_path: Path, known: str | None, configured: str | None) -> None:
    assert find(tmp_path, known, configured).algorithm == "ES256"


@pytest.mark.parametrize("known", [f"{CA}/acct/2", f"{URI}/", "https://other.example/acct/1"])
def test_a_key_of_another_account(tmp_path: Path, known: str) -> None:
    """What is signed would be in the name of that one."""
    with pytest.raises(VarlinkError) as caught:
        find(tmp_path, known)
    assert caught.value.name == "org.acmed.Key.KeyUnavailable"
    assert f"the key is that of {known}, not of the account's 'uri', {URI}" in caught.value.parameters["reason"]
