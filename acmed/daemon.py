# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a socket-activated daemon: take the sockets from systemd, answer, exit when idle.

No call is lost at the edge: the listening sockets stay with PID 1, a connection that was not taken waits there and
starts the daemon again (FlushPending= would lose it), and one that was taken is answered before the exit.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from typing import Protocol

from acmed import journal

_FIRST_FD = 3


class Service(Protocol):
    """What answers on a listening socket: acmed.varlink.Service, or the http-01 responder."""

    @property
    def busy(self) -> bool:
        """Whether anybody is connected."""

    def accept(self, listener: socket.socket) -> None:
        """Takes the waiting connections of a listening, non-blocking socket."""

    async def drain(self) -> None:
        """Ends when nobody is connected."""


def inherited_sockets() -> dict[str, socket.socket]:
    """The listening sockets by FileDescriptorName=; their order is not fixed (sd_listen_fds(3)).

    Where a unit has several, the later ones get a number behind the name.
    """
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return {}
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    sockets = {}
    for index, name in zip(range(count), names, strict=False):
        os.set_inheritable(_FIRST_FD + index, False)
        listener = socket.socket(fileno=_FIRST_FD + index)
        listener.setblocking(False)
        sockets[f"{name}.{index}" if name in sockets else name] = listener  # a unit may have several of one name
    return sockets


async def serve(
    services: Mapping[str, Service], idle: float, sockets: Mapping[str, socket.socket] | None = None
) -> None:
    """Answers on each named socket until SIGTERM, SIGINT, or until nobody was connected for idle seconds.

    Raises SystemExit where a socket is missing: the daemon was not started by its socket unit.
    """
    listeners = dict(sockets if sockets is not None else inherited_sockets())
    missing = services.keys() - listeners.keys()
    if missing:
        raise SystemExit(f"No socket named {', '.join(sorted(missing))}: this program is started by its socket unit.")
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for name, service in services.items():
        loop.add_reader(listeners[name], service.accept, listeners[name])
    await _wait_idle(list(services.values()), stop, idle)
    for name in services:
        loop.remove_reader(listeners[name])
    for service in services.values():
        await service.drain()
    journal.debug("Idle, exiting")


async def _wait_idle(services: list[Service], stop: asyncio.Event, idle: float) -> None:
    """Returns when stop is set, or when no service was busy for idle seconds."""
    loop = asyncio.get_running_loop()
    quiet_since = loop.time()
    while not stop.is_set():
        if any(service.busy for service in services):
            quiet_since = loop.time()
        left = quiet_since + idle - loop.time()
        if left <= 0:
            return
        try:
            async with asyncio.timeout(min(left, idle)):
                await stop.wait()
        except TimeoutError:
            continue
