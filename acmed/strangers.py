# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections of anybody: each has a task, a deadline and a cap, and none can cost another one its answer."""

import asyncio
import os
import socket
from abc import ABC, abstractmethod

from acmed import config, daemon, journal

# A peer has sent its request and taken the answer within this time, or is dropped (seconds).
_DEADLINE = 5.0
# How long those who are connected may still take when the port is to be closed (seconds).
_GRACE = 0.5
# How many connections are taken at a time, before those that were taken are read.
_BATCH = 64
_IDLE = 10.0  # seconds


class Strangers(ABC):
    """Serves on any number of listening sockets, at most so many connections at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._connections: dict[asyncio.Task[None], None] = {}  # the oldest first

    @abstractmethod
    async def serve(self, connection: socket.socket, peer: str) -> None:
        """One connection, from its beginning to its end. Raises OSError where the peer goes away."""

    @property
    def busy(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._connections)

    def accept(self, listener: socket.socket) -> None:
        """Takes waiting connections of a listening, non-blocking socket; made for loop.add_reader().

        Where there are too many, the oldest is dropped: whoever sends a request at once has long had the answer.
        """
        for _ in range(_BATCH):
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # of the new connection, mostly (accept(2))
                journal.debug("Cannot take a connection: %s", error)
                return
            connection.setblocking(False)
            self._start(connection, _host(address))
            if len(self._connections) > self._most:
                oldest = next(iter(self._connections))
                del self._connections[oldest]
                oldest.cancel()

    async def drain(self) -> None:
        """Ends when nobody is connected. Who does not send a request soon is dropped: the port is to be closed."""
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=_GRACE)
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections))

    def _start(self, connection: socket.socket, peer: str) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            connection.close()  # here, as a task that is cancelled before it began runs no line of its own
            self._connections.pop(task, None)
            if not task.cancelled() and (error := task.exception()):
                journal.exception("A connection failed", error)

        task = asyncio.get_running_loop().create_task(self._serve(connection, peer))
        task.add_done_callback(ended)
        self._connections[task] = None

    async def _serve(self, connection: socket.socket, peer: str) -> None:
        try:
            async with asyncio.timeout(_DEADLINE):
                await self.serve(connection, peer)
        except TimeoutError:
            journal.debug("%s was too slow", peer)
        except OSError as error:
            journal.debug("%s went away: %s", peer, error)


def run(name: str, strangers: Strangers) -> None:
    """A daemon's life, until idle or SIGTERM, on whatever sockets its socket units have open.

    Exits with 64 where there is none: the port is taken by another program, so the socket unit failed.
    """
    journal.setup(name, config.load().configuration.log_level(name))
    sockets = daemon.inherited_sockets()
    if not sockets:
        journal.error("There is no socket to answer on: %s is started by its socket unit", name)
        raise SystemExit(os.EX_USAGE)
    asyncio.run(daemon.serve(dict.fromkeys(sockets, strangers), _IDLE, sockets))


def _host(address: object) -> str:
    """Who connected, from what accept() says: an address, or the web server on this host that passes requests on."""
    if not isinstance(address, tuple):
        return "the web server"
    return str(address[0]).removeprefix("::ffff:")
