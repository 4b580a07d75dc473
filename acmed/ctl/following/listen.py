# SPDX-License-Identifier: LGPL-2.1-or-later
"""The signals of acmed, and of nobody else: any user may send acmectl a signal that looks like one of acmed's."""

import asyncio
from collections.abc import Callable

from acmed.bus import Bus, BusLost, DBusError, Signal

_DBUS = "org.freedesktop.DBus"
_DBUS_PATH = "/org/freedesktop/DBus"


class Listener:
    """Passes each signal of the owner of a bus name to received, and calls vanished when the name loses its owner.

    owner: the unique name, empty where there is none. changed is set after both, and after nothing else.
    """

    def __init__(
        self, bus: Bus, name: str, received: Callable[[Signal], None], vanished: Callable[[], None] = lambda: None
    ) -> None:
        self.changed = asyncio.Event()
        self._bus = bus
        self._name = name
        self._received = received
        self._vanished = vanished
        self.owner = ""

    async def start(self, path_namespace: str) -> None:
        """Listens for what is sent from below a path. Raises BusLost and DBusError."""
        self._bus.signals(self._incoming)
        await asyncio.gather(
            self._bus.add_match(f"type='signal',sender='{self._name}',path_namespace='{path_namespace}'"),
            self._bus.add_match(
                f"type='signal',sender='{_DBUS}',interface='{_DBUS}',member='NameOwnerChanged',arg0='{self._name}'"
            ),
        )
        try:
            (owner,) = await self._bus.call(_DBUS, _DBUS_PATH, _DBUS, "GetNameOwner", "s", self._name)
            self.owner = str(owner)
        except DBusError:
            self.owner = ""  # not started yet

    async def wait(self) -> None:
        """Until something came. Raises BusLost when the bus ended the connection."""
        news = asyncio.ensure_future(self.changed.wait())
        closed = asyncio.ensure_future(self._bus.wait_closed())
        try:
            await asyncio.wait((news, closed), return_when=asyncio.FIRST_COMPLETED)
            if closed.done() and not news.done():
                raise BusLost("The bus closed the connection")
        finally:
            news.cancel()
            closed.cancel()
        self.changed.clear()

    def _incoming(self, signal: Signal) -> None:
        if signal.sender == _DBUS and signal.member == "NameOwnerChanged" and signal.body[0] == self._name:
            self.owner = signal.body[2]
            if not self.owner:
                self._vanished()
                self.changed.set()
        elif signal.sender and signal.sender == self.owner:
            self._received(signal)
            self.changed.set()
