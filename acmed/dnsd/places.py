# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a record belongs: its name after CNAME records, the zone by SOA, and how values get into that zone."""

from dataclasses import dataclass

import dns.name

from acmed.config.model import Configuration, Zone
from acmed.config.words import title
from acmed.dnsd.errors import LookupFailed
from acmed.dnsd.records import Record
from acmed.dnsd.resolver import Resolver, Soa, plain

NO_METHOD = "none"


@dataclass(frozen=True)
class Place:
    """A record's place. settings: the [zone] of the configuration that is for this zone, or None."""

    record: Record
    name: dns.name.Name
    soa: Soa
    settings: Zone | None

    @property
    def method(self) -> str:
        """How values get there, as Place of the interface says."""
        return self.settings.method.value if self.settings else NO_METHOD


def table(settings: Zone) -> str:
    """The settings as their author knows them: [zone."example.com"]."""
    return title("zone", settings.name)


async def find(record: Record, resolver: Resolver, configuration: Configuration) -> Place:
    """Raises LookupFailed.

    A [zone] of the configuration is for the zone of its name and for those below it which have none of their own. One
    whose name lies inside a zone of DNS would do nothing, which its author cannot have meant.
    """
    name = await resolver.canonical(record.name)
    soa = await resolver.zone(name)
    settings = configuration.zone_above(plain(soa.zone))
    nearest = configuration.zone_above(plain(name))
    if nearest is not None and nearest is not settings:
        message = (
            f"{table(nearest)} is configured, but DNS has no zone of that name: {plain(name)} is in the zone"
            f" {plain(soa.zone)} by its SOA record; name that in the configuration"
        )
        raise LookupFailed(plain(name), message)
    return Place(record, name, soa, settings)
