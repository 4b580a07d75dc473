# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts that a store does not serve any more, and files that were replaced: nothing is kept for them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from acmed.config.keysource import Kind
from acmed.store import gpg
from acmed.store.service import StoreService
from acmed.varlink import VarlinkError
from tests.unit.keyd.rig import new_key, pem
from tests.unit.store.storerig import PEER, SECRET, Somebody, Store, encrypted

Before = Callable[[Store, Somebody], Awaitable[StoreService]]


async def unlocked(store: Store, somebody: Somebody) -> StoreService:
    """A service that somebody has given the passphrase."""
    service = await asking(store, somebody)
    await given(service, somebody)
    await store.works(service)
    assert service.needed
    return service


async def asking(store: Store, _: Somebody) -> StoreService:
    service = store.service()
    assert "waits for its passphrase" in await store.refusal(service)
    assert service.needed
    return service


async def given(service: StoreService, somebody: Somebody, secret: bytes = SECRET) -> None:
    somebody.answer(secret)
    async with asyncio.timeout(30):
        await asyncio.wait([locked.opening for locked in service._locked.values()])


@pytest.mark.parametrize("before", [asking, unlocked])
@pytest.mark.parametrize("called", [False, True])
def test_an_account_that_was_removed(store: Store, somebody: Somebody, before: Before, called: bool) -> None:
    """Whether or not somebody asks for it."""
    store.write(encrypted(store.key))

    async def act() -> None:
        service = await before(store, somebody)
        removed = store.accounts.pop("main")
        assert not service.needed
        if called:
            with pytest.raises(VarlinkError, match="UnknownAccount"):
                await service.get_key(PEER, "main")
        else:
            await service.forget_others()
        assert not service._opened
        assert not service._locked
        store.accounts["main"] = removed
        assert "waits for its passphrase" in await store.refusal(service)
        await service.close()

    store.run(act())


def test_a_question_that_has_failed(store: Store, somebody: Somebody) -> None:
    """The daemon does not stay for it; but for an answer that nobody has asked for yet."""
    store.write(encrypted(store.key))

    async def act() -> None:
        service = await asking(store, somebody)
        await given(service, somebody, b"xyzzy")
        assert not service.needed
        assert "does not open it; now waits" in await store.refusal(service)
        await given(service, somebody)
        assert service.needed
        await service.close()

    store.run(act())


def test_a_file_that_was_replaced(store: Store, somebody: Somebody) -> None:
    store.write(encrypted(store.key))

    async def act() -> None:
        service = await unlocked(store, somebody)
        store.key = new_key()
        replace(store.path, encrypted(store.key))
        assert not service.needed
        assert "waits for its passphrase" in await store.refusal(service)
        await given(service, somebody)
        await store.works(service)
        store.path.unlink()
        assert "No such file or directory" in await store.refusal(service)
        await service.close()

    store.run(act())


def test_a_plain_file_that_was_replaced(store: Store) -> None:
    store.write(pem(store.key.private))

    async def act() -> None:
        service = store.service()
        await store.works(service)
        store.key = new_key()
        replace(store.path, pem(store.key.private))
        await store.works(service)
        await service.close()

    store.run(act())


def program(directory: Path, script: str) -> Store:
    """With something in the place of gpg."""
    path = directory / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Store(directory / "account.gpg", Kind.GPG, command=(str(path),))


def test_an_encrypted_file_that_was_replaced(tmp_path: Path) -> None:
    store = program(tmp_path, f"cat {tmp_path}/account.gpg")
    store.write(pem(store.key.private))

    async def act() -> None:
        service = store.service()
        await store.works(service)
        store.key = new_key()
        replace(store.path, pem(store.key.private))
        await store.works(service)
        await service.close()

    store.run(act())


def test_what_nobody_waits_for_is_not_decrypted(tmp_path: Path) -> None:
    store = program(tmp_path, f"echo $$ >{tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 1000")
    store.write(b"")

    async def act() -> None:
        opening = asyncio.create_task(gpg.open_key(store.accounts["main"], store.credentials))
        async with asyncio.timeout(30):
            while not (tmp_path / "pid").exists():
                await asyncio.sleep(0.01)
        opening.cancel()
        await asyncio.wait([opening])
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=30)
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    store.run(act())


def replace(path: Path, content: bytes) -> None:
    new = path.with_name("new.pem")
    new.write_bytes(content)
    new.chmod(0o600)
    new.replace(path)
