# SPDX-License-Identifier: LGPL-2.1-or-later
"""One handshake with whoever asks for a pending challenge as a CA does; an alert for everybody else."""

import asyncio
import socket
import ssl
from contextlib import suppress
from enum import Enum
from pathlib import Path

from acmed import journal
from acmed.alpn01 import pending
from acmed.alpn01.certificate import PROTOCOL, Contexts
from acmed.alpn01.hello import Hello, NotHello, parse
from acmed.alpn01.pending import Pending
from acmed.strangers import Strangers

# One that has come as far as a handshake costs some 100 KiB.
_MAX_CONNECTIONS = 200
_MAX_HANDSHAKE = 65536  # bytes that a peer may send in all
_CHUNK = 16384


class Alert(Enum):
    """TLS alerts (RFC 8446 section 6)."""

    DECODE_ERROR = 50
    INTERNAL_ERROR = 80
    UNRECOGNIZED_NAME = 112
    NO_APPLICATION_PROTOCOL = 120

    def encode(self) -> bytes:
        """A record: an alert, TLS 1.2, of two bytes; fatal."""
        return bytes([21, 3, 3, 0, 2, 2, self.value])


class Refused(Exception):
    """There is no handshake with this peer; it is sent the alert."""

    def __init__(self, alert: Alert) -> None:
        super().__init__(alert)
        self.alert = alert


class Responder(Strangers):
    """Answers on any number of listening sockets, from the files in a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(_MAX_CONNECTIONS)
        self._directory = directory
        self._contexts = Contexts()
        self._answered: set[Pending] = set()

    async def serve(self, connection: socket.socket, peer: str) -> None:
        try:
            received, hello = await _receive_hello(connection)
            wanted = self._find(hello)
            context = self._context(wanted)
        except Refused as refused:
            journal.debug("%s to %s", refused.alert.name, peer)
            await asyncio.get_running_loop().sock_sendall(connection, refused.alert.encode())
            connection.shutdown(socket.SHUT_WR)
            return
        goodbye = await _shake_hands(connection, context, received)
        if wanted not in self._answered:
            self._answered.add(wanted)
            journal.info("Answered the challenge for %s, asked for by %s", wanted.identifier, peer)
        with suppress(OSError):  # a CA that has seen enough does not wait for it
            await asyncio.get_running_loop().sock_sendall(connection, goodbye)
            connection.shutdown(socket.SHUT_WR)

    def _find(self, hello: Hello) -> Pending:
        """What the peer asks for. Raises Refused."""
        if PROTOCOL.encode() not in hello.protocols:
            raise Refused(Alert.NO_APPLICATION_PROTOCOL)
        try:
            found = pending.read(self._directory, hello.server_name)
        except pending.Unreadable as problem:
            journal.warning("A challenge cannot be answered: %s", problem)
            found = None
        if found is None:
            raise Refused(Alert.UNRECOGNIZED_NAME)
        return found

    def _context(self, wanted: Pending) -> ssl.SSLContext:
        try:
            return self._contexts.context(wanted)
        except OSError as error:
            journal.error("No certificate can be made for %s: %s", wanted.identifier, error)
            raise Refused(Alert.INTERNAL_ERROR) from error


async def _receive_hello(connection: socket.socket) -> tuple[bytes, Hello]:
    """All that has come, and what it asks for. Raises Refused, or ConnectionError where the peer hangs up."""
    received, hello = b"", None
    while hello is None:
        received += await _receive(connection)
        try:
            hello = parse(received)
        except NotHello as problem:
            raise Refused(Alert.DECODE_ERROR) from problem
    return received, hello


async def _shake_hands(connection: socket.socket, context: ssl.SSLContext, received: bytes) -> bytes:
    """Returns when the peer has finished, with the goodbye that is all that is left to say (RFC 8737 section 3). Raises
    OSError, which ssl's errors are.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(received)
    tls, total, done = context.wrap_bio(incoming, outgoing, server_side=True), len(received), False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        finally:  # the alert too, where it fails
            if data := outgoing.read():  # a socket whose peer is gone does not take nothing either
                await asyncio.get_running_loop().sock_sendall(connection, data)
        if not done:
            data = await _receive(connection)
            total += len(data)
            if total > _MAX_HANDSHAKE:
                raise ConnectionError("a handshake without end")
            incoming.write(data)
    with suppress(ssl.SSLError):  # it wants the peer's goodbye too
        tls.unwrap()
    return outgoing.read()


async def _receive(connection: socket.socket) -> bytes:
    data = await asyncio.get_running_loop().sock_recv(connection, _CHUNK)
    if not data:
        raise ConnectionError("it hung up")
    return data
