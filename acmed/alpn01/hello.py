# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads a ClientHello (RFC 8446 section 4.1.2), as far as it is about who is asked for what.

Python's ssl would go on where no protocol is agreed upon, and shows the certificate to anybody; so what a stranger
offers is looked at before it gets there, and most strangers never do.
"""

from dataclasses import dataclass

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN = 0, 16  # extensions: RFC 6066 section 3, RFC 7301 section 3.1
_HOST_NAME = 0
_MAX_SIZE = 16384  # bytes, with all headers; the longest of post-quantum keys make a tenth of it


class NotHello(ValueError):
    """This is no ClientHello, or too long."""


@dataclass(frozen=True)
class Hello:
    """What is asked for: server_name in lower case, or "" where there is none; protocols as they are offered."""

    server_name: str
    protocols: tuple[bytes, ...]


def parse(data: bytes) -> Hello | None:
    """None where data does not have all of it yet. Raises NotHello."""
    message = _message(data)
    if message is None:
        if len(data) > _MAX_SIZE:
            raise NotHello("too long")
        return None
    fields = _Fields(message)
    fields.take(2 + 32)  # version, random
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        fields.vector(size)
    name = ""
    protocols: tuple[bytes, ...] = ()
    extensions = _Fields(fields.vector(2) if fields.left else b"")
    while extensions.left:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            name = _server_name(content)
        elif kind == _ALPN:
            protocols = _protocols(content)
    return Hello(name, protocols)


def _message(data: bytes) -> bytes | None:
    """The ClientHello, which may come in several records; None where its end is missing."""
    message = b""
    while len(data) >= 5:
        if data[0] != _HANDSHAKE or data[1] != 3:
            raise NotHello("not TLS")
        size = int.from_bytes(data[3:5], "big")
        message += data[5 : 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise NotHello("another message")
        if len(message) >= 4:
            end = 4 + int.from_bytes(message[1:4], "big")
            if end > _MAX_SIZE:
                raise NotHello("too long")
            if len(message) >= end:
                return message[4:end]
        data = data[5 + size :]
    if data and data[0] != _HANDSHAKE:
        raise NotHello("not TLS")
    return None


def _server_name(content: bytes) -> str:
    names = _Fields(_Fields(content).vector(2))
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return name.decode("ascii", "replace").lower()
    return ""


def _protocols(content: bytes) -> tuple[bytes, ...]:
    names, found = _Fields(_Fields(content).vector(2)), []
    while names.left:
        found.append(names.vector(1))
    return tuple(found)


class _Fields:
    """Takes fields from the front of bytes. Raises NotHello where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._offset

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise NotHello("cut short")
        self._offset += size
        return self._data[self._offset - size : self._offset]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes behind their length, which has that many bytes itself."""
        return self.take(self.number(size))
