# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of zones by RFC 2136, signed by TSIG (RFC 8945): one message for all records of a zone."""

import asyncio
import secrets
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.tsig
import dns.update

from acmed import journal
from acmed.config.model import Zone, ZoneMethod
from acmed.dnsd import tsig
from acmed.dnsd.errors import UpdateFailed
from acmed.dnsd.places import Place, table
from acmed.dnsd.records import txt
from acmed.dnsd.refusals import key_refusal, refusal
from acmed.dnsd.resolver import Resolver, Soa, plain
from acmed.dnsd.transport import NoAnswer, Server, Transport, together

Change = Callable[[dns.update.UpdateMessage, Place], None]


@dataclass(frozen=True)
class _Target:
    """A zone to change, and how the configuration says that this is done."""

    soa: Soa
    settings: Zone

    @property
    def zone(self) -> str:
        return plain(self.soa.zone)

    @property
    def title(self) -> str:
        """The table of acmed.toml that has the settings."""
        return table(self.settings)


class Updater:
    """Sends updates. credentials: the directory with the TSIG keys. All methods raise UpdateFailed, LookupFailed."""

    def __init__(self, transport: Transport, credentials: Path) -> None:
        self._transport = transport
        self._credentials = credentials

    async def present(self, places: Iterable[Place], resolver: Resolver) -> None:
        """Adds each record's value, with the TTL of the configuration. Other values stay; the same one is no error."""

        def add(message: dns.update.UpdateMessage, place: Place) -> None:
            message.add(place.name, place.settings.ttl if place.settings else 0, place.record.data)

        await self._change(places, resolver, add, "Added")

    async def remove(self, places: Iterable[Place], resolver: Resolver) -> None:
        """Deletes each record's value (RFC 2136 section 2.5.4). Not an error where it is not there."""

        def delete(message: dns.update.UpdateMessage, place: Place) -> None:
            message.delete(place.name, place.record.data)

        await self._change(places, resolver, delete, "Removed")

    async def probe(self, place: Place, resolver: Resolver) -> None:
        """Finds out whether present() would do, and leaves nothing: deletes a value that nobody can have set.

        An update without a record would pass where the key is not allowed this name, as servers look at who may change
        what record by record; a value that is added is there for a moment, and stays where this host then dies.
        """
        nothing = txt(f"acmed-probe-{secrets.token_hex(16)}".encode())
        await self._change([place], resolver, lambda message, place: message.delete(place.name, nothing), "")

    async def _change(self, places: Iterable[Place], resolver: Resolver, change: Change, verb: str) -> None:
        """All zones at once; each is tried, whatever becomes of the others."""
        by_target: dict[_Target, list[Place]] = defaultdict(list)
        for place in places:
            if place.settings is None or place.settings.method is not ZoneMethod.UPDATE:
                zone = plain(place.soa.zone)
                raise UpdateFailed(zone, f"the zone {zone} takes no updates: its method is {place.method}")
            by_target[_Target(place.soa, place.settings)].append(place)
        await together(self._send(target, here, resolver, change, verb) for target, here in by_target.items())

    async def _send(
        self, target: _Target, places: Sequence[Place], resolver: Resolver, change: Change, verb: str
    ) -> None:
        """To the server's addresses in turn, as it may allow one and refuse another, or be reached by one only."""
        key = self._key(target)
        failures = []
        for server in await primary(target.soa, target.settings, resolver):
            message = dns.update.UpdateMessage(target.soa.zone)
            for place in places:
                change(message, place)
            if key:
                message.use_tsig(key)
            try:
                answer = await self._transport.ask(server, message, target.settings.timeout)
                fault = refusal(answer, target.zone, target.title, key)
            except NoAnswer as failure:
                fault = str(failure)
            except dns.tsig.PeerError as error:
                fault = key_refusal(error, key)
            if not fault:
                if verb:
                    names = ", ".join(sorted({plain(place.name) for place in places}))
                    journal.info("%s %d TXT values in zone %s at %s: %s", verb, len(places), target.zone, server, names)
                return
            failures.append(f"{server} {fault}")
        raise UpdateFailed(target.zone, f"the zone {target.zone} was not updated: {'; '.join(dict.fromkeys(failures))}")

    def _key(self, target: _Target) -> dns.tsig.Key | None:
        if target.settings.key is None:
            journal.warning(
                "Updates of zone %s are not signed: the server cannot tell this host from one that forges its address",
                target.zone,
            )
            return None
        try:
            key = tsig.load(target.settings.key, self._credentials)
        except tsig.UnusableKey as error:
            message = f"the zone {target.zone} cannot be updated: {error} (key of {target.title})"
            raise UpdateFailed(target.zone, message) from None
        tsig.warn_of_legacy(key)
        return key


async def primary(soa: Soa, settings: Zone, resolver: Resolver) -> list[Server]:
    """The addresses of the server that takes updates: by the configuration, else by the zone's SOA record.

    A name in the configuration is looked up as other programs of this host would, in /etc/hosts too; one in DNS is
    looked up there. Raises UpdateFailed, LookupFailed.
    """
    host = settings.server or plain(soa.primary)
    addresses = await (_host_addresses(host) if settings.server else resolver.addresses(soa.primary))
    if not addresses:
        whose = table(settings) if settings.server else "its SOA record"
        message = f"the zone {plain(soa.zone)} was not updated: its primary, {host} by {whose}, has no address"
        raise UpdateFailed(plain(soa.zone), f"{message}; set server in {table(settings)}")
    return [Server(address, "" if address == host else host, settings.port) for address in addresses]


async def _host_addresses(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(item[4][0]) for item in found))
