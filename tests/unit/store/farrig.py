# SPDX-License-Identifier: LGPL-2.1-or-later
"""A far end that says what a test has it say, behind a socket, and an account whose key is there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from acmed import base64url
from acmed.config import Account
from acmed.config.keysource import KeySource, Kind
from acmed.keyd.keys import Key
from acmed.store import unix
from acmed.store.far import Remote
from acmed.store.opened import OpenedKey, Unavailable

URI = "https://ca.example:14000/acct/1"
INPUT = b"eyJh.eyJi"

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def account(socket: Path, uri: str | None = None) -> Account:
    return Account("main", "https://ca.example:14000/dir", uri=uri, key=KeySource(Kind.UNIX, str(socket)))


def greeting(key: Key, shown: Mapping[str, Any] | None = None, **about: Any) -> bytes:
    """The first two lines for a key, with other members than it has where they are given."""
    members = {"alg": key.algorithm, "jwk-thumbprint": key.thumbprint} | about
    present = {name: value for name, value in members.items() if value is not None}
    jwk = key.jwk if shown is None else shown
    return f"1 OK {json.dumps(present)}\r\n{json.dumps(jwk)}\r\n".encode()


def signed(key: Key, data: bytes = INPUT) -> bytes:
    return base64url.encode(key.sign(data)).encode() + b"\r\n"


def says(*parts: bytes, stays: bool = False) -> Play:
    """The first part at once and each other one when a line came; then the end of the connection, or nothing more."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, part in enumerate(parts):
            if number:
                await reader.readline()
            writer.write(part)
            await writer.drain()
        if stays:
            await reader.read()

    return play


@contextlib.asynccontextmanager
async def far_end(path: Path, *plays: Play) -> AsyncIterator[Path]:
    """A socket whose connections are played one after the other, the last one again for each that follows."""
    taken = 0
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        play = plays[min(taken, len(plays) - 1)]
        taken += 1
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(OSError):
            await play(reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(serve, path / "far.sock")
    try:
        yield path / "far.sock"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


async def opened(socket: Path, uri: str | None = None) -> OpenedKey:
    """With a connection that is kept."""
    return await Remote.open(account(socket, uri), lambda: unix.connect(str(socket)), keep=True)


def refusal(directory: Path, *plays: Play, sign: bool = False, uri: str | None = None) -> str:
    """Why a key cannot be used; with sign it can be opened, and then not sign."""

    async def run() -> str:
        async with far_end(directory, *plays) as socket:
            if not sign:
                with pytest.raises(Unavailable) as caught:
                    await opened(socket, uri)
                return str(caught.value)
            key = await opened(socket, uri)
            with pytest.raises(Unavailable) as caught:
                await key.sign(INPUT)
            await key.close()
            return str(caught.value)

    return asyncio.run(run())
