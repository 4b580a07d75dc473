# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages by the byte (D-Bus specification, Message Format), for what no library would send."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

PATH, INTERFACE, MEMBER, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = 1, 2, 3, 5, 6, 7, 8
METHOD_CALL, METHOD_RETURN, SIGNAL = 1, 2, 4
_TYPES = {PATH: "o", INTERFACE: "s", MEMBER: "s", DESTINATION: "s", SENDER: "s"}

Field = tuple[int, str, str | int]


def text(code: int, value: str) -> Field:
    return code, _TYPES[code], value


def message(kind: int, serial: int, fields: Sequence[Field], body: bytes = b"", flags: int = 0) -> bytes:
    """One message, little-endian."""
    array = b""
    for code, signature, value in fields:
        array += b"\0" * (-len(array) % 8)
        array += struct.pack("<BB", code, len(signature)) + signature.encode() + b"\0"
        if isinstance(value, int):
            array += b"\0" * (-len(array) % 4) + struct.pack("<I", value)
        elif signature == "g":
            array += struct.pack("<B", len(value)) + value.encode() + b"\0"
        else:
            array += b"\0" * (-len(array) % 4) + struct.pack("<I", len(value)) + value.encode() + b"\0"
    head = struct.pack("<cBBBIII", b"l", kind, flags, 1, len(body), serial, len(array)) + array
    return head + b"\0" * (-len(head) % 8) + body


def string(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode() + b"\0"


class Raw:
    """A connection to a bus that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, address: str) -> "Raw":
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:path="))
        writer.write(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert (await reader.readline()).startswith(b"OK")
        writer.write(b"BEGIN\r\n")
        bus = [text(DESTINATION, "org.freedesktop.DBus"), text(PATH, "/org/freedesktop/DBus")]
        writer.write(message(METHOD_CALL, 1, [*bus, text(INTERFACE, "org.freedesktop.DBus"), text(MEMBER, "Hello")]))
        await writer.drain()
        return cls(reader, writer)

    async def send(self, *messages: bytes) -> None:
        for one in messages:
            self.writer.write(one)
        await self.writer.drain()

    async def until(self, text: bytes) -> None:
        """Until an answer has this in it."""
        heard = b""
        while text not in heard:
            more = await self._reader.read(65536)
            assert more
            heard += more


@asynccontextmanager
async def pretended_bus(path: Path, answer_to_all: bytes) -> AsyncIterator[str]:
    """The address of a bus that passes on what a real one may filter. It answers Hello, and the next thing it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
        await reader.readline()
        hello = await reader.read(4096)
        (serial,) = struct.unpack_from("<I", hello, 8)
        answer: list[Field] = [(REPLY_SERIAL, "u", serial), (SIGNATURE, "g", "s"), text(SENDER, "org.freedesktop.DBus")]
        writer.write(message(METHOD_RETURN, 1, answer, string(":1.1")))
        await reader.read(4096)
        writer.write(answer_to_all)
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield f"unix:path={path}"
    finally:
        server.close()
