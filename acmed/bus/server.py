# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tree of objects that answers on the bus: one implementation for each path, dispatched from its interface's file."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from acmed import journal
from acmed.bus import errors, standard
from acmed.bus.connection import Bus, MethodCall, Variant
from acmed.bus.errors import BusLost, DBusError
from acmed.bus.xml import Interface, Method

_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
# As many calls of one sender run at once; who has more to ask waits for answers.
_CALLS_PER_SENDER = 16


@dataclass(frozen=True)
class Call:
    """Who calls, by a unique name, and whether polkit may ask that user."""

    sender: str
    interactive: bool


Handler = Callable[..., Awaitable[tuple[Any, ...] | None]]


class Implementation(Protocol):
    """An object of one interface. A handler takes the Call and the arguments, and returns a tuple of what goes out, or
    raises DBusError; any other exception is a defect: it is logged, and the caller learns no more than that.
    """

    interface: Interface

    def methods(self) -> Mapping[str, Handler]: ...

    def properties(self) -> Mapping[str, Any]:
        """The value of each property, in plain Python types (dbus-next's, Variant for v)."""
        ...


class Settable(Implementation, Protocol):
    """An object that has writable properties."""

    async def set_property(self, call: Call, name: str, value: Any) -> None: ...


class ObjectTree:
    """The objects. ObjectManager is at root, and reports what is below it. before_call runs before each call but
    those to what never changes.
    """

    def __init__(self, bus: Bus, root: str, before_call: Callable[[], None] = lambda: None) -> None:
        self.last_call = asyncio.get_running_loop().time()
        self._bus = bus
        self._root = root
        self._before_call = before_call
        self._objects: dict[str, Implementation] = {}
        self._sent: dict[str, Mapping[str, Any]] = {}
        self._calls: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[MethodCall] | None = None
        bus.serve(self)

    @property
    def busy(self) -> bool:
        """Whether a call waits for its answer."""
        return bool(self._tasks)

    def hold(self) -> None:
        """Keeps the calls that come from now on until release(). The bus hands a call that started us on before it
        answers RequestName, and so before we know that the name is ours.
        """
        self._held = []

    def release(self) -> None:
        """Answers what came since hold(), and what comes."""
        held, self._held = self._held or [], None
        for call in held:
            self.incoming(call)

    async def drain(self) -> None:
        """Waits until each call has been answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def add(self, path: str, implementation: Implementation) -> None:
        """Makes an object known."""
        if set(implementation.methods()) != set(implementation.interface.methods):
            raise TypeError(f"{implementation.interface.name}: the methods are not those of the interface file")
        self._objects[path] = implementation
        self._sent[path] = implementation.properties()
        if self._managed(path):
            added = {implementation.interface.name: self._variants(path)}
            self._emit(self._root, standard.OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, added])

    def remove(self, path: str) -> None:
        """Makes an object unknown."""
        name = self._objects.pop(path).interface.name
        del self._sent[path]
        if self._managed(path):
            self._emit(self._root, standard.OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, [name]])

    def refresh(self, path: str) -> None:
        """Tells the bus what has changed in an object since it was last told. Nothing, where it has been removed."""
        implementation = self._objects.get(path)
        if implementation is None:
            return
        before, self._sent[path] = self._sent[path], implementation.properties()
        declared = implementation.interface.properties
        names = [name for name, value in self._sent[path].items() if before[name] != value]
        changed = {name: self._variant(path, name) for name in names if declared[name].emits == "true"}
        invalidated = [name for name in names if declared[name].emits == "invalidates"]
        if changed or invalidated:
            body = [implementation.interface.name, changed, invalidated]
            self._emit(path, standard.PROPERTIES, "PropertiesChanged", "sa{sv}as", body)

    def emit(self, path: str, member: str, *body: Any) -> None:
        """Sends a signal that the interface of the object at path declares."""
        interface = self._objects[path].interface
        self._emit(path, interface.name, member, interface.signals[member], list(body))

    def incoming(self, call: MethodCall) -> None:
        """Answers a call; acmed.bus.connection.Dispatcher."""
        self.last_call = asyncio.get_running_loop().time()
        if self._held is not None:
            self._held.append(call)
            return
        try:
            interface, method = self._admit(call)
        except DBusError as error:
            self._error(call, error)
            return
        except Exception as error:
            self._error(call, _defect(call, error))
            return
        self._calls[call.sender] += 1
        task = asyncio.get_running_loop().create_task(self._answer(call, interface, method))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._answered(call, task))

    def _admit(self, call: MethodCall) -> tuple[Interface, Method]:
        if call.path not in self._objects or call.interface not in standard.FIXED:
            self._before_call()
        interface, method = self._find(call)
        if call.signature != method.signature:
            raise DBusError(
                errors.INVALID_ARGS,
                f"{call.member} takes arguments of the types '{method.signature}', not '{call.signature}'",
            )
        if self._calls[call.sender] >= _CALLS_PER_SENDER:
            raise DBusError(errors.LIMITS_EXCEEDED, f"{_CALLS_PER_SENDER} calls of yours are not answered yet")
        return interface, method

    def _find(self, call: MethodCall) -> tuple[Interface, Method]:
        offered = self._interfaces(call.path)
        # Peer is about the process: its path does not matter.
        if call.interface == standard.PEER:
            offered = {standard.PEER: standard.INTERFACES[standard.PEER]}
        if not offered:
            raise DBusError(errors.UNKNOWN_OBJECT, f"There is no object {call.path}")
        if call.interface and call.interface not in offered:
            raise DBusError(errors.UNKNOWN_INTERFACE, f"{call.path} has no interface {call.interface}")
        for interface in [offered[call.interface]] if call.interface else offered.values():
            if call.member in interface.methods:
                return interface, interface.methods[call.member]
        raise DBusError(errors.UNKNOWN_METHOD, f"{call.interface or call.path} has no method {call.member}")

    def _interfaces(self, path: str) -> dict[str, Interface]:
        """What a path offers; nothing where there is neither an object nor one below it."""
        implementation = self._objects.get(path)
        if implementation is None and not self._children(path):
            return {}
        names = [standard.PEER, standard.INTROSPECTABLE]
        if implementation:
            names.append(standard.PROPERTIES)
        if path == self._root:
            names.append(standard.OBJECT_MANAGER)
        offered = {implementation.interface.name: implementation.interface} if implementation else {}
        return offered | {name: standard.INTERFACES[name] for name in names}

    async def _answer(self, call: MethodCall, interface: Interface, method: Method) -> None:
        try:
            try:
                result = await self._run(call, interface)
                self._bus.reply(call, method.answer, list(result or ()))
            except (DBusError, BusLost, asyncio.CancelledError):
                raise
            except Exception as error:
                raise _defect(call, error) from None
        except DBusError as error:
            self._error(call, error)

    async def _run(self, call: MethodCall, interface: Interface) -> tuple[Any, ...] | None:
        match interface.name:
            case standard.PEER:
                return (Path("/etc/machine-id").read_text().strip(),) if call.member == "GetMachineId" else ()
            case standard.INTROSPECTABLE:
                return (self._introspect(call.path),)
            case standard.PROPERTIES:
                return await self._property(call)
            case standard.OBJECT_MANAGER:
                managed = {path: item for path, item in self._objects.items() if self._managed(path)}
                for path in managed:
                    self.refresh(path)
                return ({path: {item.interface.name: self._variants(path)} for path, item in managed.items()},)
        handler = self._object(call.path).methods()[call.member]
        return await handler(Call(call.sender, call.interactive), *call.body)

    async def _property(self, call: MethodCall) -> tuple[Any, ...]:
        implementation, interface_name = self._object(call.path), call.body[0]
        if interface_name not in ("", implementation.interface.name):
            if interface_name not in self._interfaces(call.path):
                raise DBusError(errors.UNKNOWN_INTERFACE, f"{call.path} has no interface {interface_name}")
            if call.member == "GetAll":
                return ({},)
            raise DBusError(errors.UNKNOWN_PROPERTY, f"{interface_name} has no property {call.body[1]}")
        self.refresh(call.path)
        if call.member == "GetAll":
            return (self._variants(call.path),)
        name = call.body[1]
        if name not in implementation.interface.properties:
            raise DBusError(errors.UNKNOWN_PROPERTY, f"{implementation.interface.name} has no property {name}")
        if call.member == "Get":
            return (self._variant(call.path, name),)
        declared = implementation.interface.properties[name]
        if declared.access == "read":
            raise DBusError(errors.PROPERTY_READ_ONLY, f"{name} cannot be set")
        if call.body[2].signature != declared.signature:
            raise DBusError(errors.INVALID_ARGS, f"{name} has the type '{declared.signature}'")
        settable: Settable = implementation  # type: ignore[assignment]  # its file says that it has such properties
        await settable.set_property(Call(call.sender, call.interactive), name, call.body[2].value)
        self.refresh(call.path)
        return ()

    def _object(self, path: str) -> Implementation:
        """Looked up again when a call's turn has come: it may have been removed since."""
        if path not in self._objects:
            raise DBusError(errors.UNKNOWN_OBJECT, f"There is no object {path} any more")
        return self._objects[path]

    def _introspect(self, path: str) -> str:
        interfaces = "\n  ".join(interface.text for interface in self._interfaces(path).values())
        children = "".join(f'\n  <node name="{child}"/>' for child in sorted(self._children(path)))
        return f"{_DOCTYPE}<node>\n  {interfaces}{children}\n</node>\n"

    def _children(self, path: str) -> set[str]:
        prefix = path if path == "/" else f"{path}/"
        return {known[len(prefix) :].split("/")[0] for known in self._objects if known.startswith(prefix)}

    def _managed(self, path: str) -> bool:
        return path.startswith(f"{self._root}/")

    def _variants(self, path: str) -> dict[str, Variant]:
        return {name: self._variant(path, name) for name in self._sent[path]}

    def _variant(self, path: str, name: str) -> Variant:
        return Variant(self._objects[path].interface.properties[name].signature, self._sent[path][name])

    def _emit(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        with suppress(BusLost):  # nobody is left to hear it; the program ends for that reason elsewhere
            self._bus.emit(path, interface, member, signature, body)

    def _error(self, call: MethodCall, error: DBusError) -> None:
        journal.debug("%s.%s of %s: %s", call.interface, call.member, call.sender, error)
        with suppress(BusLost):
            self._bus.error(call, error.name, error.message)

    def _answered(self, call: MethodCall, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._calls[call.sender] -= 1
        if not self._calls[call.sender]:
            del self._calls[call.sender]
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, BusLost):
            journal.exception("A call was not answered", error)


def _defect(call: MethodCall, error: Exception) -> DBusError:
    """A defect must not end the daemon, nor tell its caller anything."""
    journal.exception(f"{call.member} failed", error)
    return DBusError(errors.FAILED, "An internal error occurred; the journal of acmed has it")
