# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks PID 1 (org.freedesktop.systemd1(5)) for jobs on units, and waits for their end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from acmed.bus import Bus, DBusError, Signal

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_NO_SUCH_UNIT = f"{_NAME}.NoSuchUnit"
_BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
_JOB_REMOVED = f"type='signal',sender='{_NAME}',interface='{_MANAGER}',member='JobRemoved'"
_OWNER_CHANGED = f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged',arg0='{_NAME}'"

DONE = "done"


class Pid1:
    """The service manager, over one connection to the system bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._owner = ""
        self._waiting: dict[str, asyncio.Future[str]] = {}
        # The signal may come before the call's answer, which has the job's path, was looked at.
        self._ended: dict[str, str] = {}

    async def job(self, method: str, *arguments: Any, signature: str = "ss", timeout: float) -> str:
        """Calls a method that answers with a job, and waits for it; timeout is in seconds. The answer is the job's
        result: done canceled timeout failed dependency skipped. Raises DBusError, BusLost or TimeoutError.
        """
        async with asyncio.timeout(timeout):
            (job,) = await self._bus.call(_NAME, _PATH, _MANAGER, method, signature, *arguments, timeout=timeout)
            if job in self._ended:
                return self._ended.pop(job)
            self._waiting[job] = asyncio.get_running_loop().create_future()
            try:
                return await self._waiting[job]
            finally:
                del self._waiting[job]

    async def state(self, unit: str) -> str:
        """A unit's ActiveState; "" where there is no such unit. Loads it from the disk where needed."""
        (path,) = await self._bus.call(_NAME, _PATH, _MANAGER, "LoadUnit", "s", unit)
        if await self._property(path, f"{_NAME}.Unit", "LoadState") == "not-found":
            return ""
        return str(await self._property(path, f"{_NAME}.Unit", "ActiveState"))

    async def service_property(self, unit: str, name: str) -> Any:
        """A property of the Service interface of a unit that is loaded; None where it is not loaded."""
        try:
            (path,) = await self._bus.call(_NAME, _PATH, _MANAGER, "GetUnit", "s", unit)
        except DBusError as error:
            if error.name == _NO_SUCH_UNIT:
                return None
            raise
        return await self._property(path, f"{_NAME}.Service", name)

    async def active(self, *patterns: str) -> set[str]:
        """The names of the units of any of the glob patterns that are active or on the way there or from there."""
        states = ["active", "reloading", "activating", "deactivating"]
        (units,) = await self._bus.call(_NAME, _PATH, _MANAGER, "ListUnitsByPatterns", "asas", states, list(patterns))
        return {unit[0] for unit in units}

    async def reset_failed(self, unit: str) -> None:
        """Lets PID 1 forget a unit that failed; not an error where there is none."""
        try:
            await self._bus.call(_NAME, _PATH, _MANAGER, "ResetFailedUnit", "s", unit)
        except DBusError as error:
            if error.name != _NO_SUCH_UNIT:
                raise

    async def subscribe(self) -> None:
        """Before the first job()."""
        self._bus.signals(self._signal)
        await asyncio.gather(self._bus.add_match(_OWNER_CHANGED), self._bus.add_match(_JOB_REMOVED))
        (self._owner,) = await self._bus.call(_BUS, _BUS_PATH, _BUS, "GetNameOwner", "s", _NAME)
        await self._bus.call(_NAME, _PATH, _MANAGER, "Subscribe")

    async def _property(self, path: str, interface: str, name: str) -> Any:
        (value,) = await self._bus.call(_NAME, path, _PROPERTIES, "Get", "ss", interface, name)
        return value.value

    def _signal(self, signal: Signal) -> None:
        """Any user may send us a signal that looks like these, past our matches: who sent it is what counts."""
        if signal.sender == _BUS and signal.member == "NameOwnerChanged" and signal.body[0] == _NAME:
            self._owner = signal.body[2]  # after systemctl daemon-reexec
        elif signal.sender == self._owner and (signal.interface, signal.member) == (_MANAGER, "JobRemoved"):
            self._removed(*signal.body)

    def _removed(self, _number: int, job: str, _unit: str, result: str) -> None:
        waiting = self._waiting.get(job)
        if waiting is None:
            self._ended[job] = result
        elif not waiting.done():
            waiting.set_result(result)


@asynccontextmanager
async def connected() -> AsyncIterator[Pid1]:
    """A connection for a few jobs. Raises BusLost or DBusError."""
    bus = await Bus.connect()
    try:
        manager = Pid1(bus)
        await manager.subscribe()
        yield manager
    finally:
        bus.disconnect()
