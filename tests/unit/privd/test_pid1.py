# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom acme-privd believes that a job of PID 1's has ended."""

import asyncio
from pathlib import Path

import pytest

from acmed.bus import Bus, MethodCall
from acmed.privd.pid1 import Pid1
from tests.bus.privatebus import private_bus

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_JOB = f"{_PATH}/job/7"
_UNIT = "nginx.service"


class _Manager:
    """PID 1's name on the bus, with one job that ends when end() is called."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._asked = asyncio.Event()

    def incoming(self, call: MethodCall) -> None:
        if call.member == "Subscribe":
            self.bus.reply(call, "", [])
        else:
            self.bus.reply(call, "o", [_JOB])
            self._asked.set()

    @classmethod
    async def appear(cls, address: str) -> "_Manager":
        manager = cls(await Bus.connect(address))
        manager.bus.serve(manager)
        assert await manager.bus.request_name(_NAME)
        return manager

    async def asked(self) -> None:
        """Until the job's number is on its way to the caller."""
        await self._asked.wait()
        await self.bus.flush()

    def end(self, result: str) -> None:
        _tell(self.bus, result)


def _tell(bus: Bus, result: str) -> None:
    bus.emit(_PATH, f"{_NAME}.Manager", "JobRemoved", "uoss", [7, _JOB, _UNIT, result])


def _reload(pid1: Pid1) -> "asyncio.Task[str]":
    return asyncio.ensure_future(pid1.job("ReloadUnit", _UNIT, "replace", timeout=5))


@pytest.mark.parametrize("early", [True, False])
def test_signal_of_a_stranger_ends_no_job(tmp_path: Path, early: bool) -> None:
    """Any user of the system bus may send a signal that looks like PID 1's, and can guess a job's number."""

    async def run() -> str:
        async with private_bus(tmp_path) as address:
            manager = await _Manager.appear(address)
            stranger, bus = await Bus.connect(address), await Bus.connect(address)
            pid1 = Pid1(bus)
            await pid1.subscribe()
            # As if it were sent to this connection alone, which needs no match.
            await bus.add_match(f"type='signal',sender='{stranger.unique_name}'")
            if early:
                _tell(stranger, "done")
                await stranger.flush()
            job = _reload(pid1)
            await manager.asked()
            _tell(stranger, "done")
            await stranger.flush()
            manager.end("failed")
            result = await job
            for one in (manager.bus, stranger, bus):
                one.disconnect()
            return result

    assert asyncio.run(run()) == "failed"


def test_job_that_ends_after_pid_1_was_executed_anew(tmp_path: Path) -> None:
    """systemctl daemon-reexec: PID 1 comes back to the bus as another connection, and goes on with its jobs."""

    async def run() -> str:
        async with private_bus(tmp_path) as address:
            manager, bus = await _Manager.appear(address), await Bus.connect(address)
            pid1 = Pid1(bus)
            await pid1.subscribe()
            job = _reload(pid1)
            await manager.asked()
            manager.bus.disconnect()
            await manager.bus.wait_closed()
            again = await _Manager.appear(address)
            again.end("done")
            result = await job
            for one in (again.bus, bus):
                one.disconnect()
            return result

    assert asyncio.run(run()) == "done"
