# SPDX-License-Identifier: LGPL-2.1-or-later
"""A connection to a message bus. Of dbus-next only Message and MessageBus are used: its proxies and its
ServiceInterface leak tracebacks to callers, lose cancelled calls and send ObjectManager signals from the wrong path.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dbus_next import Message, Variant
from dbus_next._private.constants import BIG_ENDIAN, LITTLE_ENDIAN, HeaderField
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageFlag, MessageType, NameFlag

from acmed import journal
from acmed.bus import errors
from acmed.bus.errors import BusLost, DBusError

__all__ = ["Bus", "Dispatcher", "MethodCall", "Signal", "Variant"]

# Fields that are not known must be ignored (D-Bus specification, Header Fields); the library would end the connection,
# so any local user could. UNIX_FDS is the one that it reads past.
HeaderField._missing_ = classmethod(lambda cls, value: cls.UNIX_FDS)

# The library reads a body value by value, which for the 32 MB that the bus lets any local user send takes a minute and
# a gigabyte. Nothing that is sent to us has more than a CA's certificates in it (256 KiB). Bytes.
_MAX_BODY = 512 * 1024
_MAX_FIELDS = 64 * 1024

_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_PRIMARY_OWNER = 1
_ALREADY_OWNER = 4


@dataclass(frozen=True)
class Signal:
    """A signal that came. sender is a unique name."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    body: list[Any]


@dataclass(frozen=True)
class MethodCall:
    """A call that came. interface is "" where the caller gave none; interactive: polkit may ask the caller's user."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    body: list[Any]
    interactive: bool
    reply_expected: bool
    serial: int


class Dispatcher(Protocol):
    """Takes each method call and sees to it that Bus.reply() or Bus.error() answers it. Must not raise."""

    def incoming(self, call: MethodCall) -> None: ...


class _Unmarshaller(Unmarshaller):  # type: ignore[misc]  # the library is not typed
    """Takes what is too large out of a call or a signal before it is looked at; its signature stays.

    An answer may have any size: it comes from somebody whom we have asked.
    """

    def _unmarshall(self) -> None:
        self.offset = 0
        self.read(16, prefetch=True)
        if self.buf[0] in _ORDERS:
            self._cut(_ORDERS[self.buf[0]])
        super()._unmarshall()

    def _cut(self, order: str) -> None:
        kind, body, fields = struct.unpack_from(f"{order}xB2xI4xI", self.buf)
        begin = 16 + fields + -fields % 8
        if fields > _MAX_FIELDS:
            self.read(begin + body, prefetch=True)
            self.buf[:] = _NOTHING
        elif body > _MAX_BODY and kind in (MessageType.METHOD_CALL.value, MessageType.SIGNAL.value):
            self.read(begin + body, prefetch=True)
            del self.buf[begin:]
            struct.pack_into(f"{order}I", self.buf, 4, 0)


_ORDERS = {LITTLE_ENDIAN: "<", BIG_ENDIAN: ">"}
# In the place of a message that nobody sends in good faith.
_NOTHING = Message.new_signal("/", "org.acmed.Nothing", "Nothing")._marshall()


class _Library(MessageBus):  # type: ignore[misc]
    def _create_unmarshaller(self) -> _Unmarshaller:
        return _Unmarshaller(self._stream)


class _PatientSocket:
    """The library's writer takes a socket that is full for one that is lost; told that nothing went, it waits."""

    def __init__(self, full: socket.socket) -> None:
        self._socket = full

    def send(self, data: memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0


class Bus:
    """One connection. Everything runs in the event loop in which it was made."""

    def __init__(self, library: MessageBus) -> None:
        self._library = library
        self._calls: dict[int, asyncio.Future[Message]] = {}
        self._handlers: list[Callable[[Signal], None]] = []
        self._dispatcher: Dispatcher | None = None
        self._lost = asyncio.Event()
        library.add_message_handler(self._received)

    @classmethod
    async def connect(cls, address: str | None = None) -> "Bus":
        """Connects to the bus of an address, or to the system bus ($DBUS_SYSTEM_BUS_ADDRESS). Raises BusLost."""
        try:
            library = _Library(bus_address=address, bus_type=BusType.SYSTEM, negotiate_unix_fd=False)
            library._writer.sock = _PatientSocket(library._writer.sock)
            bus = cls(library)
            await library.connect()
        except Exception as error:  # the library raises bare Exceptions, sockets' and its own
            raise BusLost(f"Cannot connect to {address or 'the system bus'}: {error}") from error
        bus._watcher = asyncio.get_running_loop().create_task(bus._watch())
        return bus

    _watcher: "asyncio.Task[None]"

    @property
    def unique_name(self) -> str:
        """The name that the bus gave this connection (:1.42)."""
        return str(self._library.unique_name)

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *body: Any,
        timeout: float = 25.0,
        interactive: bool = False,
        start: bool = True,
    ) -> list[Any]:
        """Calls a method and returns what it answers. timeout is in seconds; interactive allows that polkit asks;
        start allows that the destination is activated. Raises DBusError (NoReply after the timeout) or BusLost.
        """
        flags = MessageFlag.NONE
        if interactive:
            flags |= MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION
        if not start:
            flags |= MessageFlag.NO_AUTOSTART
        serial = self._library.next_serial()
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._calls[serial] = reply
        try:
            self._send(
                Message(
                    destination=destination,
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=list(body),
                    flags=flags,
                    serial=serial,
                )
            )
            async with asyncio.timeout(timeout):
                message = await reply
        except TimeoutError:
            raise DBusError(errors.NO_REPLY, f"{destination} did not answer {member} in {timeout:g} s") from None
        finally:
            del self._calls[serial]
        if message.message_type is MessageType.ERROR:
            text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
            raise DBusError(message.error_name, text)
        return list(message.body)

    async def add_match(self, rule: str) -> None:
        """Asks the bus for the signals of a match rule (D-Bus specification, Match Rules)."""
        await self.call(*_BUS, "AddMatch", "s", rule)

    async def remove_match(self, rule: str) -> None:
        await self.call(*_BUS, "RemoveMatch", "s", rule)

    def signals(self, handler: Callable[[Signal], None]) -> Callable[[], None]:
        """Passes each signal to handler as it comes: one that was sent before a reply is passed on before call()
        returns that reply. The answer ends it.
        """
        self._handlers.append(handler)
        return lambda: self._handlers.remove(handler)

    def serve(self, dispatcher: Dispatcher) -> None:
        """Passes each method call to dispatcher."""
        self._dispatcher = dispatcher

    async def request_name(self, name: str) -> bool:
        """Whether this connection now owns the name; False where another one does. Raises DBusError where the bus's
        policy does not allow it.
        """
        (reply,) = await self.call(*_BUS, "RequestName", "su", name, int(NameFlag.DO_NOT_QUEUE))
        return reply in (_PRIMARY_OWNER, _ALREADY_OWNER)

    async def release_name(self, name: str) -> None:
        """When this returns, each call that was routed to us by this name has been passed to the dispatcher."""
        await self.call(*_BUS, "ReleaseName", "s", name)

    def start_service(self, name: str) -> None:
        """Has the bus start a name's owner, without waiting until it is there. Raises BusLost."""
        self._send(
            Message(
                destination=_BUS[0],
                path=_BUS[1],
                interface=_BUS[2],
                member="StartServiceByName",
                signature="su",
                body=[name, 0],
                flags=MessageFlag.NO_REPLY_EXPECTED,
                serial=self._library.next_serial(),
            )
        )

    async def flush(self) -> None:
        """When this returns, the bus has taken everything that was sent."""
        await self.call(*_BUS, "GetId")

    async def uid(self, name: str) -> int:
        """The user who is behind a bus name, which the bus knows from the socket. Raises DBusError: nobody is."""
        (uid,) = await self.call(*_BUS, "GetConnectionUnixUser", "s", name)
        return int(uid)

    def emit(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        """Sends a signal. Raises BusLost."""
        self._send(Message.new_signal(path, interface, member, signature, body))

    def reply(self, call: MethodCall, signature: str, body: list[Any]) -> None:
        """Answers a call. Raises an exception of the library's where body is not what signature says."""
        if call.reply_expected:
            self._send(
                Message(
                    message_type=MessageType.METHOD_RETURN,
                    destination=call.sender,
                    reply_serial=call.serial,
                    signature=signature,
                    body=body,
                )
            )

    def error(self, call: MethodCall, name: str, message: str) -> None:
        """Answers a call with an error."""
        if call.reply_expected:
            self._send(
                Message(
                    message_type=MessageType.ERROR,
                    destination=call.sender,
                    reply_serial=call.serial,
                    error_name=name,
                    signature="s",
                    body=[journal.printable(message)],
                )
            )

    async def wait_closed(self) -> None:
        """Returns when the connection has ended, by either side."""
        await self._lost.wait()

    def disconnect(self) -> None:
        """Closes the connection at once; flush() before it makes sure that nothing is lost."""
        if not self._lost.is_set():
            self._library.disconnect()

    def _send(self, message: Message) -> None:
        if self._lost.is_set():
            raise BusLost("The connection to the bus has ended")
        # An error in writing ends the connection, and is seen there.
        self._library.send(message).add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    def _received(self, message: Message) -> bool:
        """Takes every message; the answer True keeps the library from handling it as well."""
        too_large = bool(message.signature and not message.body)
        if message.message_type is MessageType.METHOD_CALL:
            self._called(message, too_large)
            return True
        if message.message_type is MessageType.SIGNAL:
            if too_large:
                return True
            signal = Signal(
                message.sender or "",
                message.path,
                message.interface,
                message.member,
                message.signature,
                message.body,
            )
            for handler in list(self._handlers):
                try:
                    handler(signal)
                except Exception as error:  # anybody may send a signal; one with an odd body is not to end us
                    journal.exception(f"The signal {signal.member} was not understood", error)
            return True
        reply = self._calls.get(message.reply_serial)
        if reply and not reply.done():
            reply.set_result(message)
        return reply is not None

    def _called(self, message: Message, too_large: bool) -> None:
        call = MethodCall(
            message.sender or "",
            message.path,
            message.interface or "",
            message.member,
            message.signature,
            message.body,
            bool(message.flags & MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION),
            not message.flags & MessageFlag.NO_REPLY_EXPECTED,
            message.serial,
        )
        if too_large:
            self.error(call, errors.LIMITS_EXCEEDED, f"The arguments of a call have at most {_MAX_BODY} bytes")
        elif self._dispatcher:
            self._dispatcher.incoming(call)
        else:
            self.error(call, errors.UNKNOWN_OBJECT, "This program has no objects")

    async def _watch(self) -> None:
        try:
            await self._library.wait_for_disconnect()
        except Exception as error:  # whatever ended it: the connection is gone
            journal.debug("The bus is lost: %s", error)
        self._lost.set()
        for reply in self._calls.values():
            if not reply.done():
                reply.set_exception(BusLost("The bus closed the connection"))
