# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is read from a connection, and what goes back."""

import asyncio
import socket
from pathlib import Path

from acmed import journal
from acmed.http01 import tokens
from acmed.http01.request import END_OF_HEAD, BadRequest, parse
from acmed.http01.response import Response, Status
from acmed.strangers import Strangers

_MAX_HEAD = 8192
_MAX_CONNECTIONS = 512


class Responder(Strangers):
    """Answers on any number of listening sockets, from the files in a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(_MAX_CONNECTIONS)
        self._directory = directory
        self._answered: set[str] = set()

    async def serve(self, connection: socket.socket, peer: str) -> None:
        head = await _receive_head(connection)
        if head is None:
            return
        response, token = self._answer(head)
        await asyncio.get_running_loop().sock_sendall(connection, response.encode())
        connection.shutdown(socket.SHUT_WR)
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
