# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that takes its time, as a token does: who waits for it, and who need not."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acmed.keyd.far import server
from acmed.keyd.far.turns import Turns
from acmed.keyd.keys import Key
from tests.unit.keyd.far.rig import CA, CHECKOUT, Far, Home, check, connected, line
from tests.unit.keyd.rig import new_key

_DEADLINE = 30.0  # seconds; nothing here takes long


@dataclass(frozen=True)
class Slow(Key):
    """It signs when it may."""

    may: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    signed: list[bytes] = field(default_factory=list)

    def sign(self, data: bytes) -> bytes:
        self.asked.release()
        assert self.may.acquire(timeout=_DEADLINE)
        self.signed.append(data)
        return super().sign(data)


@dataclass(frozen=True)
class Client:
    """One in the server's own event loop, so that nothing is answered where that is held up."""

    key: Key
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def greeted(self) -> None:
        assert (await self.reader.readline()).startswith(b"1 OK ")
        await self.reader.readline()

    def ask(self, *names: str) -> None:
        """Lines, all at once."""
        self.writer.write(b"".join(self.line(name) + b"\r\n" for name in names))

    async def answered(self, *names: str) -> None:
        for name in names:
            check(self.key, self.line(name), await self.reader.readline())

    def line(self, name: str) -> bytes:
        return line(self.key, b"", f"{CA}/{name}", f"{CA}/acct/1")


@dataclass(frozen=True)
class Serving:
    """A server with a slow key."""

    far: Far
    key: Slow
    path: Path
    turns: Turns
    ends: "asyncio.Task[None]"
    stack: AsyncExitStack

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        self.stack.callback(writer.close)
        client = Client(self.key, reader, writer)
        await client.greeted()
        return client

    async def begun(self) -> None:
        """A signature was begun."""
        await asyncio.to_thread(self.key.asked.acquire, timeout=_DEADLINE)

    async def waiting(self, lines: int) -> None:
        """So many wait for their turn."""
        while self.turns._waiting.qsize() < lines:
            await asyncio.sleep(0.01)

    @property
    def order(self) -> list[str]:
        """In which it has signed."""
        return [entry["url"].removeprefix(f"{CA}/") for entry in self.far.log]


@asynccontextmanager
async def serving(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    made, turns = new_key(), Turns()
    key = Slow(made.private, made.jwk, made.algorithm)
    monkeypatch.setattr(server, "Turns", lambda: turns)
    far, path = Far(directory, key), directory / "keyd.sock"
    ends = asyncio.create_task(server.serve(path, far.signer))
    async with asyncio.timeout(_DEADLINE), AsyncExitStack() as stack:
        while not path.exists():
            await asyncio.sleep(0.01)
        try:
            yield Serving(far, key, path, turns, ends, stack)
        finally:
            key.may.release(1000)
            if not ends.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await ends


def test_who_wants_no_signature_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are taken, and greeted."""

    async def run() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            one = await served.connect()
            one.ask("one")
            await served.begun()
            for _ in range(3):
                await served.connect()
            assert served.key.signed == []
            served.key.may.release()
            await one.answered("one")

    asyncio.run(run())


def test_many_lines_of_one_client_do_not_starve_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has had a turn gets the next one after all others who wait."""

    async def run() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            greedy, modest, other = [await served.connect() for _ in range(3)]
            greedy.ask(*(f"greedy-{number}" for number in range(20)))
            await served.begun()
            modest.ask("modest-0", "modest-1")
            await served.waiting(1)
            other.ask("other-0")
            await served.waiting(2)
            served.key.may.release(23)
            await modest.answered("modest-0", "modest-1")
            await other.answered("other-0")
            await greedy.answered(*(f"greedy-{number}" for number in range(20)))
            assert served.order[:6] == ["greedy-0", "modest-0", "other-0", "greedy-1", "modest-1", "greedy-2"]

    asyncio.run(run())


def test_sigterm_does_not_wait_for_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            one, two = await served.connect(), await served.connect()
            one.ask("one")
            await served.begun()
            two.ask("two")
            await served.waiting(1)
            os.kill(os.getpid(), signal.SIGTERM)
            await served.ends
            assert not served.path.exists()
            assert served.key.signed == []
            assert await one.reader.read() == await two.reader.read() == b""

    asyncio.run(run())


STUCK = """
import pathlib, threading
from acmed.keyd.keys import Key
Key.sign = lambda key, data: (pathlib.Path("begun").touch(), threading.Event().wait())
"""


def test_the_program_ends_while_the_key_does_not_answer(home: Home) -> None:
    """As a thread that waits for a token's module."""
    home.policy()
    home.write("sitecustomize.py", STUCK)
    process = home.popen("--socket", PYTHONPATH=f"{home.path}:{CHECKOUT}")
    assert process.stderr
    try:
        assert b"Listening" in process.stderr.readline()
        with connected(home.address) as client, connected(home.address) as other:
            client.greeting()
            client.send(line(home.key, b"", f"{CA}/order/1", f"{CA}/acct/1") + b"\r\n")
            other.greeting()
            give_up = time.monotonic() + _DEADLINE
            while not (home.path / "begun").exists():
                assert time.monotonic() < give_up
                time.sleep(0.01)
            process.terminate()
            assert process.wait(_DEADLINE) == 0
            assert client.is_left()
            assert not home.address.exists()
    finally:
        process.kill()
        process.communicate()


def test_whose_wait_ends_is_not_served() -> None:
    """A client that is gone has no signature made, where that was not begun."""
    done: list[str] = []

    async def run() -> None:
        turns, go, begun = Turns(), threading.Event(), threading.Event()

        def first() -> None:
            begun.set()
            assert go.wait(_DEADLINE)
            done.append("first")

        one = asyncio.create_task(turns.take(first))
        await asyncio.to_thread(begun.wait, _DEADLINE)
        two = asyncio.create_task(turns.take(lambda: done.append("second")))
        three = asyncio.create_task(turns.take(lambda: done.append("third")))
        await asyncio.sleep(0)
        two.cancel()
        await asyncio.gather(two, return_exceptions=True)
        go.set()
        await asyncio.gather(one, three)

    asyncio.run(run())
    assert done == ["first", "third"]


def test_what_fails_ends_no_other_turn() -> None:
    async def run() -> None:
        turns = Turns()
        with pytest.raises(ZeroDivisionError):
            await turns.take(lambda: 1 // 0)
        assert await turns.take(lambda: 7) == 7

    asyncio.run(run())
