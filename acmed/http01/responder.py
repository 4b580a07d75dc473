# SPDX-License-Identifier: LGPL-2.1-or-later
"""The connections: each has a task, a deadline and a cap, and none can cost another one its answer."""

import asyncio
import socket
from pathlib import Path

from acmed import journal
from acmed.http01 import tokens
from acmed.http01.request import END_OF_HEAD, BadRequest, parse
from acmed.http01.response import Response, Status

# A peer has sent its request and taken the answer within this time, or is dropped (seconds).
_DEADLINE = 5.0
# How long those who are connected may still take when the port is to be closed (seconds).
_GRACE = 0.5
_MAX_HEAD = 8192
_MAX_CONNECTIONS = 512
# How many connections are taken at a time, before those that were taken are read.
_BATCH = 64


class Responder:
    """Answers on any number of listening sockets, from the files in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connections: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._answered: set[str] = set()

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
            if len(self._connections) > _MAX_CONNECTIONS:
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
                head = await _receive_head(connection)
                if head is None:
                    return
                response, token = self._answer(head)
                await asyncio.get_running_loop().sock_sendall(connection, response.encode())
                connection.shutdown(socket.SHUT_WR)
        except TimeoutError:
            journal.debug("%s was too slow", peer)
        except OSError as error:
            journal.debug("%s went away: %s", peer, error)
        else:
            self._log(head, response, token, peer)

    def _answer(self, head: bytes) -> tuple[Response, str]:
        """The answer to a request, and the token that it gives away."""
        try:
            request = parse(head)
        except BadRequest:
            return Response(Status.BAD_REQUEST), ""
        if request.method not in ("GET", "HEAD"):
            return Response(Status.METHOD_NOT_ALLOWED), ""
        if request.token is None:
            return Response(Status.NOT_FOUND), ""
        try:
            content = tokens.read(self._directory, request.token)
        except tokens.Unreadable as problem:
            journal.warning("A token cannot be served: %s", problem)
            content = None
        if content is None:
            return Response(Status.NOT_FOUND), ""
        return Response(Status.OK, content, head_only=request.method == "HEAD"), request.token

    def _log(self, head: bytes, response: Response, token: str, peer: str) -> None:
        if token and token not in self._answered:
            self._answered.add(token)
            journal.info("Answered the challenge with token %s, asked for by %s", token, peer, token=token)
        else:
            line = head[:200].split(b"\n", 1)[0].rstrip(b"\r").decode("ascii", "backslashreplace")
            journal.debug("%s to %s, who asked for %s", response.status.value, peer, line)


async def _receive_head(connection: socket.socket) -> bytes | None:
    """All up to the end of the header fields, or nothing where there is no end to them; None if the peer hangs up."""
    loop = asyncio.get_running_loop()
    head = bytearray()
    while len(head) < _MAX_HEAD:
        data = await loop.sock_recv(connection, _MAX_HEAD - len(head))
        if not data:
            return None
        searched = max(0, len(head) - 2)
        head += data
        if END_OF_HEAD.search(head, searched):
            return bytes(head)
    return b""


def _host(address: object) -> str:
    """Who connected, from what accept() says: an address, or the web server on this host that passes requests on."""
    if not isinstance(address, tuple):
        return "the web server"
    return str(address[0]).removeprefix("::ffff:")
