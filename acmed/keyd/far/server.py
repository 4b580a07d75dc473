# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd --socket: each client has a task of its own, and one line at a time that waits for its turn at the key."""

import asyncio
import os
import signal
import socket
from functools import partial
from pathlib import Path

from acmed import journal
from acmed.keyd.far.conversation import Conversation, Ended
from acmed.keyd.far.listener import listening
from acmed.keyd.far.signer import Signer
from acmed.keyd.far.turns import Turns
from acmed.varlink import Call

_CHUNK = 16 * 1024
_WRITE_DEADLINE = 10.0  # seconds
_MOST = 64
_BATCH = 16
# HUP: the terminal is closed.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def serve(path: Path, signer: Signer) -> None:
    """Listens at the path until SIGINT, SIGTERM or SIGHUP. Raises CannotListen."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in _ENDS:  # first, as the socket is not to stay behind
        loop.add_signal_handler(number, stop.set)
    with listening(path) as listener:
        journal.info("Listening at %s", path)
        await _Server(listener, signer).serve(stop)


class _Server:
    """Serves a listening socket."""

    def __init__(self, listener: socket.socket, signer: Signer) -> None:
        self._listener = listener
        self._signer = signer
        self._turns = Turns()
        self._connections: dict[asyncio.Task[None], None] = {}  # who has been silent for longest is the first

    async def serve(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._listener, self._accept)
        await stop.wait()
        loop.remove_reader(self._listener)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                connection, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                journal.warning("Cannot take a connection: %s", error.strerror)
                return
            peer = Call.on(connection)
            if peer.uid not in (0, os.geteuid()):
                journal.warning("Refused a connection of user %s: only our own user and root may connect", peer.uid)
                connection.close()
                continue
            connection.setblocking(False)
            self._start(connection, peer)

    def _start(self, connection: socket.socket, peer: Call) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            connection.close()
            self._connections.pop(task, None)
            if not task.cancelled() and (error := task.exception()):
                journal.exception("A connection failed", error)

        task = asyncio.get_running_loop().create_task(self._converse(connection, peer))
        task.add_done_callback(ended)
        self._connections[task] = None
        if len(self._connections) > _MOST:
            next(iter(self._connections)).cancel()

    async def _converse(self, connection: socket.socket, peer: Call) -> None:
        loop, conversation = asyncio.get_running_loop(), Conversation(self._signer, peer)
        try:
            await _send(connection, conversation.greeting())
            while True:
                async with asyncio.timeout(conversation.patience()):
                    data = await loop.sock_recv(connection, _CHUNK)
                for line in conversation.receive(data):
                    self._was_heard()
                    await _send(connection, await self._turns.take(partial(conversation.answer, line)))
        except TimeoutError:
            journal.debug("A client of user %s is left: it is silent, or does not take its answer", peer.uid)
        except Ended as error:
            journal.debug("The connection of process %s ends: %s", peer.pid, error)
        except OSError as error:
            journal.debug("The client of process %s went away: %s", peer.pid, error.strerror)

    def _was_heard(self) -> None:
        task = asyncio.current_task()
        if task is not None and task in self._connections:
            self._connections[task] = self._connections.pop(task)


async def _send(connection: socket.socket, data: bytes) -> None:
    async with asyncio.timeout(_WRITE_DEADLINE):
        await asyncio.get_running_loop().sock_sendall(connection, data)
