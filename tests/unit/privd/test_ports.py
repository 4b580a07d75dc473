# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ports of a job are closed when it is over, also where they were being opened just then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from acmed.privd import pid1, verifier
from acmed.privd.places import Places
from acmed.privd.service import Priv
from acmed.varlink import Call, VarlinkError

CALLER = Call(1, 1000, 1000)


class _Units:
    """Leases as PID 1 has them: one whose start waits for what it wants is not active yet."""

    def __init__(self) -> None:
        self.leases: set[str] = set()
        self.asked, self.ready = asyncio.Event(), asyncio.Event()

    async def job(self, method: str, unit: str, *_: str, timeout: float) -> str:
        if method == "StartUnit":
            self.asked.set()
            async with asyncio.timeout(timeout):
                await self.ready.wait()
            self.leases.add(unit)
        else:
            self.leases.discard(unit)
        return "done"

    async def state(self, _: str) -> str:
        return "active"

    async def active(self, *units: str) -> set[str]:
        return self.leases & set(units)


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_closed_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    async def run() -> None:
        units = _Units()

        @asynccontextmanager
        async def connected() -> AsyncIterator[_Units]:
            yield units

        async def warm(_: Any) -> None:
            """Not what this is about."""

        monkeypatch.setattr(pid1, "connected", connected)
        monkeypatch.setattr(verifier, "warm", warm)
        priv = Priv(Places(etc=tmp_path, usr=tmp_path, state=tmp_path))
        opening = asyncio.ensure_future(priv.open_challenge(CALLER, 7, "www.example.com", kind))
        await units.asked.wait()
        other = asyncio.ensure_future(priv.close_challenge(CALLER, 8, "other.example.com"))
        closing = asyncio.ensure_future(priv.close_challenge(CALLER, 7, "www.example.com"))
        await other
        units.ready.set()
        await asyncio.gather(opening, closing)
        assert units.leases == set()

    asyncio.run(run())


class _ClosedFirewall(_Units):
    """The socket listens, and nothing comes through to it."""

    def __init__(self) -> None:
        super().__init__()
        self.ready.set()

    async def state(self, unit: str) -> str:
        return "failed" if unit.startswith("acme-firewall@") else "active"


@pytest.mark.parametrize(("kind", "port"), [("http-01", 80), ("tls-alpn-01", 443)])
def test_a_firewall_that_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, port: int
) -> None:
    units = _ClosedFirewall()

    @asynccontextmanager
    async def connected() -> AsyncIterator[_Units]:
        yield units

    async def warm(_: Any) -> None:
        """Not what this is about."""

    monkeypatch.setattr(pid1, "connected", connected)
    monkeypatch.setattr(verifier, "warm", warm)
    priv = Priv(Places(etc=tmp_path, usr=tmp_path, state=tmp_path))
    with pytest.raises(VarlinkError) as caught:
        asyncio.run(priv.open_challenge(CALLER, 7, "www.example.com", kind))
    assert caught.value.name == "org.acmed.Priv.ChallengeUnavailable"
    assert f"the firewall cannot be opened for port {port}" in caught.value.parameters["message"]
    assert units.leases == set(), "nothing stays open"
