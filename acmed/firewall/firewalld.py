# SPDX-License-Identifier: LGPL-2.1-or-later
"""firewalld, over D-Bus (firewalld.dbus(5)): its nftables table can be changed by no one else. Needs root, as its
polkit actions allow nobody else to; no capability.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from acmed import journal
from acmed.bus import Bus, BusLost, DBusError
from acmed.bus.errors import NAME_HAS_NO_OWNER, SERVICE_UNKNOWN
from acmed.firewall import FirewallError

_NAME = "org.fedoraproject.FirewallD1"
_PATH = "/org/fedoraproject/FirewallD1"
_ZONE = "org.fedoraproject.FirewallD1.zone"
_NOT_RUNNING = (NAME_HAS_NO_OWNER, SERVICE_UNKNOWN)
# The longest life of a lease: firewalld closes the port by itself then, whatever becomes of us (seconds).
_TIMEOUT = 900


def open_port(port: int) -> None:
    """Adds a rich rule to each zone that can have traffic. What an earlier call left is replaced, with a new timeout.

    addPort would not do: it collides with a port that the administrator opens meanwhile, and would close that one.
    Does nothing where firewalld is not running. Raises FirewallError.
    """
    asyncio.run(_open(port))


def close_port(port: int) -> None:
    """Removes that rule wherever it is. Does nothing where firewalld is not running. Raises FirewallError."""
    asyncio.run(_close(port))


async def _open(port: int) -> None:
    async with _connect() as firewalld:
        await _remove(firewalld, port)
        zones = await firewalld.call(_ZONE, "getActiveZones")
        for zone in sorted(zones.keys() | {await firewalld.call(_NAME, "getDefaultZone")}):
            await firewalld.call(_ZONE, "addRichRule", "ssi", zone, _rule(port), _TIMEOUT)
            journal.info("Opened TCP port %d in firewalld's zone %s", port, zone, port=port)


async def _close(port: int) -> None:
    async with _connect() as firewalld:
        await _remove(firewalld, port)


@dataclass(frozen=True)
class _Firewalld:
    bus: Bus

    async def call(self, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        (answer,) = await self.bus.call(_NAME, _PATH, interface, member, signature, *body, start=False)
        return answer


async def _remove(firewalld: _Firewalld, port: int) -> None:
    """In every zone, as an interface may have gone to another one meanwhile."""
    for zone in await firewalld.call(_ZONE, "getZones"):
        if await firewalld.call(_ZONE, "queryRichRule", "ss", zone, _rule(port)):
            await firewalld.call(_ZONE, "removeRichRule", "ss", zone, _rule(port))


@asynccontextmanager
async def _connect() -> AsyncIterator[_Firewalld]:
    """Ends quietly where firewalld is not running, as then it drops nothing."""
    try:
        bus = await Bus.connect()
        try:
            yield _Firewalld(bus)
        finally:
            bus.disconnect()
    except DBusError as error:
        if error.name not in _NOT_RUNNING:
            raise FirewallError(f"firewalld: {error.message}") from None
    except BusLost as error:
        raise FirewallError(str(error)) from None


def _rule(port: int) -> str:
    """firewalld.richlanguage(5). The priority puts it before all that the administrator may have refused."""
    return f'rule priority="-32000" port port="{port}" protocol="tcp" accept'
