# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames: a JSON object and a NUL byte (https://varlink.org/Service)."""

import asyncio
import json
import socket
from typing import Any

from acmed.varlink.errors import ConnectionLost

# Larger than any chain that is accepted; a peer that sends more is not one of ours.
MAX_FRAME = 512 * 1024

_CHUNK = 64 * 1024
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Connection:
    """A connected, non-blocking socket. Asyncio's streams would do too, at three rounds of its loop for each message
    that is there already: a quarter of the time that acme-keyd takes for a signature.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._received = bytearray()

    async def receive(self) -> dict[str, Any] | None:
        """The next frame, or None at the end of the stream. Raises ConnectionLost for anything that is not a frame."""
        searched = 0
        while (end := self._received.find(b"\0", searched)) < 0:
            searched = len(self._received)
            if searched > MAX_FRAME:
                raise ConnectionLost(f"a message of more than {MAX_FRAME} bytes")
            if not (chunk := await self._some()):
                if self._received:
                    raise ConnectionLost("the stream ended inside a message")
                return None
            self._received += chunk
        frame = self._received[:end]
        del self._received[: end + 1]
        return _message(frame)

    async def send(self, message: dict[str, Any]) -> None:
        """Writes a frame and waits until the peer takes it. Raises ConnectionLost."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._peer, _encode(message).encode() + b"\0")
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    async def hung_up(self) -> None:
        """Returns when the peer has hung up, or says something where it should wait."""
        if not self._received:
            self._received += await self._some()

    def close(self) -> None:
        self._peer.close()

    async def _some(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._peer, _CHUNK)
        except OSError as error:
            raise ConnectionLost(str(error)) from error


def _message(frame: bytearray) -> dict[str, Any]:
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise ConnectionLost("a message that is not JSON") from error
    if not isinstance(message, dict):
        raise ConnectionLost("a message that is not a JSON object")
    return message
