# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waits until all that a CA may ask has the values: every name server of the zone, at each of its addresses."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import dns.name
import dns.serial

from acmed import journal
from acmed.config.model import Propagation, ZoneMethod
from acmed.dnsd.authority import serial, servers_of, texts
from acmed.dnsd.errors import LookupFailed, NotPropagated, UpdateFailed
from acmed.dnsd.places import Place, table
from acmed.dnsd.resolver import Resolver, Soa, plain
from acmed.dnsd.transport import TIMEOUT, NoAnswer, NoRoute, Server, Transport, together
from acmed.dnsd.update import primary

Report = Callable[[str], Awaitable[None]]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between two looks
_SLOWER = 1.5


@dataclass
class _Watched:
    """A server of a zone, and what it does not answer yet. last: what it said the last time."""

    server: Server
    soa: Soa
    waiting: list[Place]
    last: str = ""
    answers: bool = False
    no_route: bool = False

    @property
    def lagging(self) -> bool:
        return bool(self.waiting) and not self.no_route

    async def look(self, transport: Transport, timeout: float) -> None:
        """Asks for what is waited for."""
        await together(self._look(transport, name, timeout) for name in {place.name for place in self.waiting})

    async def _look(self, transport: Transport, name: dns.name.Name, timeout: float) -> None:
        try:
            values = await texts(transport, self.server, name, timeout)
        except NoAnswer as reason:
            self.answers, self.no_route, self.last = False, isinstance(reason, NoRoute), str(reason)
            return
        self.answers = True
        wanted = [place for place in self.waiting if place.name == name]
        here = [place for place in wanted if b"".join(place.record.data.strings) in values]
        self.waiting = [place for place in self.waiting if place not in here]
        if len(here) < len(wanted):
            others = f"has {len(values)} other TXT values there" if values else "has no TXT record there"
            self.last = f"does not have the value of {plain(name)} yet: it {others}"

    def __str__(self) -> str:
        return f"{self.server} {self.last}"


@dataclass
class _Watch:
    """All servers of all zones. missing: what is wrong with those that have no address."""

    servers: list[_Watched] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def lagging(self) -> list[_Watched]:
        return [watched for watched in self.servers if watched.lagging]

    @property
    def summary(self) -> str:
        """Which servers were not asked, and why; for there is no address of their family here, for example."""
        notes = [*self.missing, *(str(watched) for watched in self.servers if watched.no_route)]
        return f"not asked: {'; '.join(notes)}" if notes else ""


async def wait(
    places: Sequence[Place], transport: Transport, resolver: Resolver, deadline: float, report: Report
) -> str:
    """Returns what there is to know about it, or "". deadline: seconds from now. Raises LookupFailed, NotPropagated.

    Each zone by its propagation =; one that is not in the configuration is checked.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    fixed = {place: _propagation(place) for place in places if isinstance(_propagation(place), int)}
    pause = max((seconds for seconds in fixed.values() if isinstance(seconds, int)), default=0)
    if pause > deadline:
        slow = next(place for place, seconds in fixed.items() if seconds == pause)
        message = f"propagation = {pause} of zone {plain(slow.soa.zone)} is longer than the deadline, {deadline:g} s"
        raise NotPropagated(plain(slow.name), message)
    checked = [place for place in places if _propagation(place) is Propagation.CHECK]
    detail = await _check(checked, transport, resolver, deadline, report) if checked else ""
    if pause:
        await report(f"waiting for {pause} s, as the configuration says")
        await asyncio.sleep(max(begin + pause - loop.time(), 0))
    return detail


def _propagation(place: Place) -> Propagation | int:
    return place.settings.propagation if place.settings else Propagation.CHECK


async def _check(
    places: Sequence[Place], transport: Transport, resolver: Resolver, deadline: float, report: Report
) -> str:
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    watch = await _begin(places, transport, resolver)
    between, told = _FIRST_PAUSE, ""
    while True:
        timeout = min(TIMEOUT, max(end - loop.time(), _FIRST_PAUSE))
        await together(watched.look(transport, timeout) for watched in watch.lagging)
        _refuse_unreachable(watch.servers)
        if not watch.lagging:
            return watch.summary
        detail = "; ".join(map(str, watch.lagging))
        left = end - loop.time()
        if left <= 0:
            raise await _too_late(watch, deadline, transport, resolver)
        if detail != told:
            told = detail
            journal.debug("Waiting: %s", detail)
            await report(detail)
        await asyncio.sleep(min(between, left))
        between = min(between * _SLOWER, _LONGEST_PAUSE)


async def _begin(places: Sequence[Place], transport: Transport, resolver: Resolver) -> _Watch:
    by_zone: dict[Soa, list[Place]] = defaultdict(list)
    for place in places:
        by_zone[place.soa].append(place)
    found = await together(servers_of(soa.zone, resolver, transport.port) for soa in by_zone)
    watch = _Watch()
    for (soa, here), servers in zip(by_zone.items(), found, strict=True):
        watch.servers += [_Watched(server, soa, list(here)) for server in servers.found]
        watch.missing += servers.missing
    return watch


def _refuse_unreachable(servers: Iterable[_Watched]) -> None:
    """Raises NotPropagated for a zone none of whose servers could be asked."""
    by_zone: dict[Soa, list[_Watched]] = defaultdict(list)
    for watched in servers:
        by_zone[watched.soa].append(watched)
    for soa, all_of_it in by_zone.items():
        if all(watched.no_route for watched in all_of_it):
            message = f"no name server of {plain(soa.zone)} can be asked: {'; '.join(map(str, all_of_it))}"
            raise NotPropagated(plain(all_of_it[0].waiting[0].name), message)


async def _too_late(watch: _Watch, deadline: float, transport: Transport, resolver: Resolver) -> NotPropagated:
    lagging = watch.lagging
    reasons = await together(_explained(watched, transport, resolver) for watched in lagging)
    message = f"after {deadline:g} s, {'; '.join(reasons)}"
    return NotPropagated(plain(lagging[0].waiting[0].name), message)


async def _explained(watched: _Watched, transport: Transport, resolver: Resolver) -> str:
    """With the serials of the zone there and at the primary, where the server does answer: it lags, or it serves
    another zone of that name than the one that was updated (split DNS).
    """
    settings = watched.waiting[0].settings
    if not watched.answers or settings is None or settings.method is not ZoneMethod.UPDATE:
        return str(watched)
    theirs = await serial(transport, watched.server, watched.soa.zone)
    with suppress(UpdateFailed, LookupFailed):
        for server in await primary(watched.soa, settings, resolver):
            ours = await serial(transport, server, watched.soa.zone)
            if ours is None or theirs is None:
                continue
            if dns.serial.Serial(theirs) < ours:
                return f"{watched} (its serial is {theirs}, that of the primary {server} {ours}: it lags behind)"
            return (
                f"{watched} (its serial is {theirs}, that of {server}, which takes the updates, {ours}: these are two"
                f" zones, as with split DNS; set server in {table(settings)} to the primary of the public one)"
            )
    return str(watched)
