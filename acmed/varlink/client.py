# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls over Varlink: one connection per call, as the daemons behind the sockets come and go."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from acmed.varlink import wire
from acmed.varlink.errors import ConnectionLost, VarlinkError
from acmed.varlink.idl import Interface, TypeMismatch


class Client:
    """One interface behind one socket."""

    def __init__(self, interface: Interface, socket: Path) -> None:
        self.interface = interface
        self.socket = socket

    async def call(self, method: str, *, timeout: float, **parameters: Any) -> dict[str, Any]:
        """Calls and returns the reply's parameters. Raises VarlinkError, ConnectionLost, or TimeoutError (seconds)."""
        async with asyncio.timeout(timeout), self._connection() as connection:
            await connection.send({"method": f"{self.interface.name}.{method}", "parameters": parameters})
            return self._reply(method, await connection.receive())[0]

    async def call_more(
        self, method: str, *, timeout: float, **parameters: Any
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Calls with "more" and yields each reply. timeout (seconds) is for the time between two of them."""
        async with self._connection() as connection:
            message = {"method": f"{self.interface.name}.{method}", "parameters": parameters, "more": True}
            async with asyncio.timeout(timeout):
                await connection.send(message)
            continues = True
            while continues:
                async with asyncio.timeout(timeout):
                    reply, continues = self._reply(method, await connection.receive())
                yield reply

    async def warm(self) -> None:
        """Has PID 1 start the daemon behind the socket, which takes a while to load, before it is needed."""
        with suppress(ConnectionLost):
            async with self._connection():
                pass

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[wire.Connection]:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(peer, str(self.socket))
            except OSError as error:
                raise ConnectionLost(f"{self.socket}: {error.strerror or error}") from error
            yield wire.Connection(peer)

    def _reply(self, method: str, message: dict[str, Any] | None) -> tuple[dict[str, Any], bool]:
        if message is None:
            raise ConnectionLost(f"{self.socket}: the connection was closed before the answer")
        parameters = message.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise ConnectionLost(f"{self.socket}: an answer whose parameters are not an object")
        error = message.get("error")
        if error is not None:
            raise VarlinkError(str(error), **{str(key): value for key, value in parameters.items()})
        try:
            self.interface.check(parameters, self.interface.methods[method].reply)
        except TypeMismatch as mismatch:
            raise ConnectionLost(f"{self.socket}: {method} answered a wrong {mismatch.path or 'type'}") from mismatch
        return parameters, bool(message.get("continues"))
