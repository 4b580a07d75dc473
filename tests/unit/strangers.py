# SPDX-License-Identifier: LGPL-2.1-or-later
"""A responder that serves strangers (acmed.strangers), on a loopback port."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from acmed.strangers import Strangers

AnyServed = TypeVar("AnyServed", bound="Served")


@dataclass
class Served:
    """A responder, and where it listens."""

    responder: Strangers
    address: tuple[str, int] = ("", 0)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def ask(self, data: bytes, half_close: bool = False) -> bytes:
        """All that comes back until the responder hangs up; nothing where it resets the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        if half_close:
            writer.write_eof()
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


def serve(served: AnyServed, scenario: Callable[[AnyServed], Awaitable[None]]) -> None:
    async def main() -> None:
        async with _listening(served):
            await scenario(served)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def _listening(served: Served) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    defects: list[object] = []
    loop.set_exception_handler(lambda _, context: defects.append(context))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)
        loop.add_reader(listener, served.responder.accept, listener)
        served.address = listener.getsockname()
        yield
        loop.remove_reader(listener)
    await served.responder.drain()
    assert not served.responder.busy
    assert not defects


def reset_at_its_end(writer: asyncio.StreamWriter) -> None:
    """Has the peer reset the connection when it closes it."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
