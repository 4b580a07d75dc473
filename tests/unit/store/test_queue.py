# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many calls at once for a key that is slow, or whose far end is silent: each is answered while acme-keyd waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acmed.config.keysource import Kind
from acmed.store import far, turn, unix
from acmed.store.opened import InProcess
from acmed.store.service import StoreService
from acmed.varlink import Call, VarlinkError
from tests.unit.keyd.rig import new_key
from tests.unit.store.farrig import account, far_end, greeting, says

PEER = Call(1, 0, 0)


def test_who_waits_for_what_fails(own_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "_OPEN", 0.05)

    async def run() -> None:
        tried = 0
        async with far_end(own_path, says(b"", stays=True), says(greeting(new_key()), stays=True)) as socket:

            async def open_key(*_: object) -> far.Remote:
                nonlocal tried
                tried += 1
                return await far.Remote.open(account(socket), lambda: unix.connect(str(socket)), keep=True)

            store = StoreService(Kind.UNIX, {"main": account(socket)}, open_key)
            answers = await asyncio.gather(*(ask(store.get_key) for _ in range(5)))
            assert all("does not answer within 0.05 s" in answer for answer in answers)
            assert tried == 1
            assert await ask(store.get_key) == ""
            await store.close()

    asyncio.run(run())


@dataclass(frozen=True)
class Slow(InProcess):
    """It signs when it may."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    signed: list[bytes] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)

    async def sign(self, data: bytes) -> bytes:
        self.begun.set()
        await self.go.wait()
        self.signed.append(data)
        return b"x" * 64

    async def close(self) -> None:
        self.closed.append(True)


@asynccontextmanager
async def slow_store() -> AsyncIterator[tuple[StoreService, Slow, "asyncio.Task[str]"]]:
    """With a signature that does not end before it may."""
    key = Slow(new_key())

    async def open_key(_: object) -> Slow:
        return key

    store = StoreService(Kind.UNIX, {"main": account(Path("/nowhere"))}, open_key)
    first = asyncio.create_task(ask(store.sign, input="first"))
    async with asyncio.timeout(30):
        await key.begun.wait()
        yield store, key, first
        await first
    await store.close()


def test_the_key_is_shown_while_it_signs() -> None:
    async def run() -> None:
        async with slow_store() as (store, key, _):
            assert await ask(store.get_key) == ""
            assert not key.signed
            key.go.set()

    asyncio.run(run())


def test_nothing_is_signed_for_who_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_PATIENCE", 0.1)

    async def run() -> None:
        async with slow_store() as (store, key, first):
            reason = await ask(store.sign, input="second")
            assert reason.endswith("it is busy: after 0.1 s, others who wait for this key: 1")
            key.go.set()
            assert await first == ""
            assert key.signed == [b"first"]
            assert await ask(store.sign, input="third") == ""

    asyncio.run(run())


def test_what_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one has its turn, and the key is opened anew."""
    monkeypatch.setattr(turn, "_WORK", 0.1)

    async def run() -> None:
        async with slow_store() as (store, key, first):
            assert "nothing came of it within 0.1 s" in await first
            assert key.closed == [True]
            key.go.set()
            assert await ask(store.sign, input="second") == ""

    asyncio.run(run())


async def ask(method: Callable[..., Awaitable[object]], **parameters: str) -> str:
    """Why there is no answer."""
    try:
        await method(PEER, account="main", **parameters)
    except VarlinkError as error:
        return str(error.parameters["reason"])
    return ""
