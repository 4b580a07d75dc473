# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers Varlink calls on inherited or own AF_UNIX sockets: a task per connection, capped frames, deadlines."""

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from acmed import __version__, journal
from acmed.varlink import wire
from acmed.varlink.errors import ConnectionLost, VarlinkError, invalid_parameter
from acmed.varlink.idl import Interface, TypeMismatch, parse

# A caller that has connected says what it wants, and takes its answer, within this time (seconds).
_READ_DEADLINE = 5.0
_WRITE_DEADLINE = 5.0
_MAX_CONNECTIONS = 256
_UCRED = struct.Struct("3i")

_SERVICE = parse(
    """\
interface org.varlink.service
method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)
error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
"""
)


@dataclass(frozen=True)
class Call:
    """Who calls, from SO_PEERCRED; with PrivateUsers= every user but root is 65534."""

    pid: int
    uid: int
    gid: int

    @classmethod
    def on(cls, connection: socket.socket) -> "Call":
        """Who is at the other end (struct ucred, unix(7)). Raises OSError."""
        return cls(*_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


Reply = dict[str, Any]
Handler = Callable[..., Awaitable[Reply]]
Progress = Callable[[Reply], Awaitable[None]]


class _PeerGone(Exception):
    """The caller hung up, or does not take its answer."""


def more(handler: Handler) -> Handler:
    """Marks a method that may take long. It gets a Progress by the name progress, which sends a reply before the last
    one where the caller asked with "more", and it is cancelled when the caller hangs up.
    """
    handler.__dict__["more"] = True
    return handler


class Service:
    """The methods of one interface, from an object whose method names are those of the interface in snake case.

    A handler takes the Call and the parameters by name, as the interface names them in snake case, and returns the
    reply's parameters. It raises VarlinkError for an error reply; any other exception is a defect: it is logged, and
    the caller learns no more than its kind.
    """

    def __init__(self, interface: Interface, handlers: object) -> None:
        self.interface = interface
        self._handlers: dict[str, Handler] = {name: getattr(handlers, _snake(name)) for name in interface.methods}
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._connections)

    def accept(self, listener: socket.socket) -> None:
        """Takes a connection that waits at a listening, non-blocking socket; made for loop.add_reader()."""
        try:
            peer, _ = listener.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            journal.warning("Cannot take a connection: %s", error)
            return
        if len(self._connections) >= _MAX_CONNECTIONS:
            peer.close()
            return
        peer.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(peer))
        self._connections.add(task)
        task.add_done_callback(self._ended)

    async def drain(self) -> None:
        """Waits until nobody is connected."""
        while self._connections:
            await asyncio.wait(self._connections)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()):
            journal.exception("A connection failed", error)

    async def _serve(self, peer: socket.socket) -> None:
        caller = Call.on(peer)
        connection = wire.Connection(peer)
        try:
            while True:
                async with asyncio.timeout(_READ_DEADLINE):
                    message = await connection.receive()
                if message is None:
                    return
                await self._answer(caller, message, connection)
                await asyncio.sleep(0)  # others have their turn, however much this one has sent already
        except TimeoutError:
            pass
        except (ConnectionLost, _PeerGone) as error:
            journal.debug("A caller was dropped: %s", error)
        finally:
            connection.close()

    async def _answer(self, caller: Call, message: dict[str, Any], connection: wire.Connection) -> None:
        try:
            method, handler, parameters = self._find(message)
            if hasattr(handler, "more"):
                result = await self._answer_more(handler, caller, message, parameters, connection)
            else:
                result = await handler(caller, **parameters)
            if method:
                self.interface.check(result, self.interface.methods[method].reply)
            reply: Reply = {"parameters": result}
        except VarlinkError as error:
            reply = {"error": error.name, "parameters": error.parameters}
        except _PeerGone:
            raise
        except Exception as error:  # a defect in a handler must not end the daemon, nor tell its caller anything
            journal.exception(f"{message.get('method')} failed", error)
            reply = {"error": "org.acmed.InternalError", "parameters": {}}
        if message.get("oneway") is not True:
            await _send(connection, reply)

    async def _answer_more(
        self,
        handler: Handler,
        caller: Call,
        message: dict[str, Any],
        parameters: dict[str, Any],
        connection: wire.Connection,
    ) -> Reply:
        async def progress(reply: Reply) -> None:
            if message.get("more") is True:
                await _send(connection, {"parameters": reply, "continues": True})

        work = asyncio.ensure_future(handler(caller, progress=progress, **parameters))
        hangup = asyncio.ensure_future(connection.hung_up())
        try:
            await asyncio.wait((work, hangup), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _PeerGone("the caller hung up")
            return work.result()
        finally:
            for task in (work, hangup):
                task.cancel()
            await asyncio.gather(work, hangup, return_exceptions=True)

    def _find(self, message: dict[str, Any]) -> tuple[str, Handler, dict[str, Any]]:
        qualified, parameters = message.get("method"), message.get("parameters") or {}
        if not isinstance(qualified, str):
            raise invalid_parameter("method")
        interface_name, _, method = qualified.rpartition(".")
        if interface_name == _SERVICE.name and method in _SERVICE.methods:
            _check(_SERVICE, parameters, method)
            handler: Handler = self._get_info if method == "GetInfo" else self._get_interface_description
            return "", handler, parameters
        if interface_name not in (_SERVICE.name, self.interface.name):
            raise VarlinkError("org.varlink.service.InterfaceNotFound", interface=interface_name)
        if method not in self._handlers:
            raise VarlinkError("org.varlink.service.MethodNotFound", method=qualified)
        _check(self.interface, parameters, method)
        declared = self.interface.methods[method].parameters.fields
        return method, self._handlers[method], {_snake(name): parameters.get(name) for name in declared}

    async def _get_info(self, _: Call) -> dict[str, Any]:
        return {
            "vendor": "acmed",
            "product": "acmed",
            "version": __version__,
            "url": "https://varlink.org",
            "interfaces": [_SERVICE.name, self.interface.name],
        }

    async def _get_interface_description(self, _: Call, interface: str) -> dict[str, Any]:
        for known in (_SERVICE, self.interface):
            if known.name == interface:
                return {"description": known.text}
        raise VarlinkError("org.varlink.service.InterfaceNotFound", interface=interface)


async def _send(connection: wire.Connection, message: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(_WRITE_DEADLINE):
            await connection.send(message)
    except (TimeoutError, ConnectionLost) as error:
        raise _PeerGone("the caller does not take its answer") from error


def _check(interface: Interface, parameters: Any, method: str) -> None:
    try:
        interface.check(parameters, interface.methods[method].parameters)
    except TypeMismatch as mismatch:
        raise invalid_parameter(mismatch.path) from mismatch


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
