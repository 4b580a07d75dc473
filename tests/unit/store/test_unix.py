# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys behind a socket at which an acme-keyd listens that somebody has started."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from acmed.store import unix
from acmed.store.opened import OpenedKey, Unavailable
from tests.unit.keyd.far.rig import CA, URI, Home, line, order
from tests.unit.keyd.rig import new_key, pem
from tests.unit.store.farrig import INPUT, account, far_end, greeting, signed


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.policy()
    return home


def wanted(home: Home, *names: str) -> bytes:
    return line(home.key, order(*names), f"{CA}/order", URI)


def with_key(home: Home, act: Callable[[OpenedKey], Awaitable[None]], uri: str | None = None) -> None:
    async def run() -> None:
        key = await unix.open_key(account(home.address, uri), Path("/nowhere"))
        try:
            await act(key)
        finally:
            await key.close()

    asyncio.run(run())


def test_it_signs(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        assert (key.jwk, key.algorithm, key.thumbprint) == (home.key.jwk, "ES256", home.key.thumbprint)
        assert key.uri == URI
        for _ in range(2):
            assert len(await key.sign(wanted(home, "www.example.com"))) == 64

    with home.serving():
        with_key(home, act)


def test_a_key_that_is_not_shown(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        assert (key.jwk, key.thumbprint, key.uri) == (None, home.key.thumbprint, URI)
        assert len(await key.sign(wanted(home, "www.example.com"))) == 64

    home.policy("hide-jwk = true\n")
    with home.serving():
        with_key(home, act, URI)
        with pytest.raises(Unavailable, match="give it uri = "):
            with_key(home, act)


def test_what_its_policy_refuses(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        with pytest.raises(
            Unavailable,
            match="it does not sign this: who listens there has closed the connection, and its log says why",
        ):
            await key.sign(wanted(home, "bank.example.com"))

    with home.serving():
        with_key(home, act)
    assert (home.path / "log").read_text().count("Refused") == 1


def test_it_is_started_again(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        process.kill()
        process.wait()
        with pytest.raises(Unavailable, match="nobody listens there any more; remove it"):
            await key.sign(wanted(home, "www.example.com"))
        home.address.unlink()
        with pytest.raises(Unavailable, match="there is no such socket; start acme-keyd --socket"):
            await key.sign(wanted(home, "www.example.com"))
        with home.serving():
            assert len(await key.sign(wanted(home, "www.example.com"))) == 64
        home.address.unlink()
        home.write("account.key", pem(new_key().private))
        with home.serving(), pytest.raises(Unavailable, match="another key now than before"):
            await key.sign(wanted(home, "www.example.com"))

    with home.serving() as process:
        with_key(home, act)


def test_one_client_at_a_time(tmp_path: Path) -> None:
    """As lacme-accountd has it: nobody's connection is kept, so the other's is served."""
    key, busy = new_key(), asyncio.Lock()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with busy:
            writer.write(greeting(key))
            if await reader.readline():
                writer.write(signed(key))
                await reader.read()

    async def run() -> None:
        async with far_end(tmp_path, play) as socket:
            first, second = [await unix.open_key(account(socket), tmp_path) for _ in range(2)]
            for one in (first, second, first):
                assert len(await one.sign(INPUT)) == 64

    asyncio.run(run())
