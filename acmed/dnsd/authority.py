# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a zone's own name servers answer, each at all of its addresses."""

from dataclasses import dataclass

import dns.flags
import dns.name
import dns.rcode
from dns.rdatatype import SOA, TXT

from acmed.dnsd.errors import LookupFailed
from acmed.dnsd.resolver import Resolver, plain, rrset
from acmed.dnsd.transport import NoAnswer, Server, Transport, question, together

_MOST_SERVERS = 16  # of a zone; the root zone and the largest have 13, and each one is asked again and again


@dataclass(frozen=True)
class Servers:
    """The name servers of a zone. missing: what is wrong with those that have no address."""

    found: tuple[Server, ...]
    missing: tuple[str, ...] = ()


async def servers_of(zone: dns.name.Name, resolver: Resolver, port: int = 53) -> Servers:
    """By the zone's NS records. Raises LookupFailed where there is no server to ask."""
    names = await resolver.name_servers(zone)
    names, others = names[:_MOST_SERVERS], names[_MOST_SERVERS:]

    async def addresses(name: dns.name.Name) -> tuple[list[str], str, bool]:
        """Else why there are none, and whether that is because nobody answers."""
        try:
            return await resolver.addresses(name), f"{plain(name)} has no address", False
        except LookupFailed as error:
            return [], str(error), error.unanswered

    found, unanswered = [], False
    missing = [f"{len(others)} more name servers"] if others else []
    for name, (here, reason, nobody) in zip(names, await together(map(addresses, names)), strict=True):
        found += [Server(address, plain(name), port) for address in here]
        missing += [] if here else [reason]
        unanswered |= nobody
    if not found:
        reason = "; ".join(missing) or "it has no NS records"
        message = f"the zone {plain(zone)} has no name server that could be asked: {reason}"
        raise LookupFailed(plain(zone), message, unanswered)
    return Servers(tuple(found), tuple(missing))


async def texts(transport: Transport, server: Server, name: dns.name.Name, timeout: float) -> frozenset[bytes]:
    """The values of a name's TXT records. Raises NoAnswer, also where the server has no authority or fails."""
    answer = await transport.ask(server, question(name, TXT, recursive=False), timeout)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise NoAnswer(f"answers {dns.rcode.to_text(answer.rcode())}")
    if not answer.flags & dns.flags.AA:
        raise NoAnswer("has no authority for the zone")
    return frozenset(b"".join(record.strings) for record in rrset(answer, name, TXT) or ())


async def serial(transport: Transport, server: Server, zone: dns.name.Name) -> int | None:
    """The zone's serial there; None where it is not answered."""
    try:
        answer = await transport.ask(server, question(zone, SOA, recursive=False))
    except NoAnswer:
        return None
    found = rrset(answer, zone, SOA)
    return int(found[0].serial) if found else None
