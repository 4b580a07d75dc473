# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of acmed: started by the bus, gone when there is nothing to do."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from systemd import daemon

from acmed import config, journal
from acmed.bus import Bus, BusLost, DBusError
from acmed.manager.objects.logcontrol import IDENTIFIER
from acmed.manager.places import Places
from acmed.manager.service import Service

NAME = "org.acmed1"
_IDLE = 20.0  # seconds
# Seconds for the calls that are left, one of which may wait for a password.
_PATIENCE = 20.0


def main() -> None:
    """Runs until idle or SIGTERM. The unit gives STATE_DIRECTORY."""
    places = Places()
    if state := os.environ.get("STATE_DIRECTORY"):
        places = replace(places, state=Path(state))
    journal.setup(IDENTIFIER, config.load().configuration.log_level(IDENTIFIER))
    try:
        asyncio.run(run(places, frozenset((0, os.getuid()))))
    except (BusLost, DBusError) as error:
        raise SystemExit(f"{error}") from error
    except OSError as error:
        raise SystemExit(f"{error.filename or places.state}: {error.strerror}") from error


async def run(places: Places, trusted: frozenset[int], address: str | None = None, idle: float = _IDLE) -> None:
    """Serves org.acmed1 on a bus. Raises BusLost where it goes away, DBusError or SystemExit where the name cannot be
    had, OSError where the state directory cannot be used.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bus = await Bus.connect(address)
    service = Service(bus, places, trusted)
    # The call that started acmed comes at once, and is to find the jobs that go on; they are ours with the name.
    service.tree.hold()
    if not await bus.request_name(NAME):
        raise SystemExit(f"Another program has the bus name {NAME}")
    service.resume()
    service.tree.release()
    daemon.notify("READY=1")
    lost = asyncio.ensure_future(bus.wait_closed())
    try:
        await _serve(service, stop, lost, idle)
        if lost.done():
            await service.queue.interrupt()
            raise BusLost("The bus closed the connection")
        await _leave(bus, service, stopped=stop.is_set())
    finally:
        lost.cancel()


async def _serve(service: Service, stop: asyncio.Event, lost: "asyncio.Future[None]", idle: float) -> None:
    """Returns when there was no call and no job for idle seconds and none will be within minutes, on SIGTERM, and when
    the bus is lost.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.ensure_future(stop.wait())
    try:
        while not stopped.done() and not lost.done():
            pause = service.retry()
            left = max(service.tree.last_call, service.queue.last_end) + idle - loop.time()
            if service.busy or (pause is not None and left <= 0):
                left = idle
            if left <= 0:
                return
            left = left if pause is None else min(left, pause)
            await asyncio.wait((stopped, lost), timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


async def _leave(bus: Bus, service: Service, stopped: bool) -> None:
    """Loses no call: those that the bus has routed here come before its answer to ReleaseName, and PID 1, which knows
    from STOPPING that this run ends, starts another one for those that come later.
    """
    daemon.notify("STOPPING=1")
    await bus.release_name(NAME)
    if stopped:
        await service.queue.interrupt()
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await service.drain()
    if service.queue.jobs:
        await service.queue.interrupt()
        if not stopped:  # a call at the last moment began one; it goes on in the next run, under its number
            bus.start_service(NAME)
    await bus.flush()
    bus.disconnect()
    journal.debug("Exiting")
