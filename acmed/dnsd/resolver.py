# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions to the resolvers of resolv.conf(5), each asked once: an object of this class lives for one call."""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rdataclass import IN
from dns.rdatatype import AAAA, CNAME, NS, SOA, A

from acmed.dnsd.errors import LookupFailed
from acmed.dnsd.transport import NoAnswer, Server, Transport, question

RESOLV_CONF = Path("/etc/resolv.conf")
_LONGEST_CHAIN = 8  # CNAME records; what resolvers do not follow is of no use to a CA
_MOST_ADDRESSES = 16  # of a name and of each family; an answer may have thousands, and each is asked
_ANSWERS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)

_Question = asyncio.Task[dns.message.Message]


@dataclass(frozen=True)
class Soa:
    """Where a zone begins, and the server that its SOA record names as the primary (RFC 1035 section 3.3.13)."""

    zone: dns.name.Name
    primary: dns.name.Name


class Resolver:
    """What DNS says, as this host sees it. All methods raise LookupFailed. patience: seconds for all questions to it
    together, from now on; without it, each may take TIMEOUT at each server.
    """

    def __init__(self, transport: Transport, servers: Sequence[Server], patience: float | None = None) -> None:
        self._transport = transport
        self._servers = servers
        self._end = None if patience is None else asyncio.get_running_loop().time() + patience
        self._asked: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], _Question] = {}

    async def canonical(self, name: dns.name.Name) -> dns.name.Name:
        """The name behind all CNAME records; what DNAME stands for, resolvers answer as CNAME (RFC 6672)."""
        chain = [name]
        while alias := rrset(await self.answer(chain[-1], CNAME), chain[-1], CNAME):
            target = alias[0].target.canonicalize()
            if target in chain:
                raise LookupFailed(plain(name), f"the CNAME records go in a circle: {_arrows([*chain, target])}")
            if len(chain) > _LONGEST_CHAIN:
                raise LookupFailed(plain(name), f"more than {_LONGEST_CHAIN} CNAME records: {_arrows(chain)}")
            chain.append(target)
        return chain[-1]

    async def zone(self, name: dns.name.Name) -> Soa:
        """The zone that a name without CNAME is in: what has the SOA record, at the name or next above it.

        One question will do where the resolver passes on the SOA record of a negative answer (RFC 2308 section 3); some
        do not.
        """
        above = name
        while True:
            answer = await self.answer(above, SOA)
            for found in (*answer.answer, *answer.authority):
                if found.rdtype == SOA and above.is_subdomain(found.name):
                    return Soa(found.name.canonicalize(), found[0].mname.canonicalize())
            if above == dns.name.root:
                raise LookupFailed(plain(name), f"no zone found: there is no SOA record at or above {plain(name)}")
            above = above.parent()

    async def name_servers(self, zone: dns.name.Name) -> list[dns.name.Name]:
        """Those of the zone's NS records."""
        found = rrset(await self.answer(zone, NS), zone, NS)
        return sorted(record.target.canonicalize() for record in found or ())

    async def addresses(self, name: dns.name.Name) -> list[str]:
        """IPv4 addresses, then IPv6 addresses, at most 16 of each; CNAME records are followed. Empty where the name has
        none. Where one of the two questions has no answer, the other one's has to do, as it does for CAs.
        """
        addresses, failures = [], []
        for kind, asked in await self._families(name):
            try:
                answer = asked.result()
            except LookupFailed as failure:
                failures.append(failure)
                continue
            records = (record for found in answer.answer if found.rdtype == kind for record in found)
            addresses += [str(ipaddress.ip_address(record.address)) for record in islice(records, _MOST_ADDRESSES)]
        if failures and not addresses and not await self.is_missing(name):
            raise failures[0]
        return addresses

    async def is_missing(self, name: dns.name.Name) -> bool:
        """Whether there is no such name (NXDOMAIN), by what is answered about its addresses."""
        answers = [asked.result() for _, asked in await self._families(name) if asked.exception() is None]
        return any(answer.rcode() == dns.rcode.NXDOMAIN for answer in answers)

    async def answer(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        """The answer to a question, which may be that there is no such name."""
        return await self._question(name, kind)

    def _question(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> _Question:
        asked = self._asked.get((name, kind))
        if asked is None:
            asked = self._asked[name, kind] = asyncio.create_task(self._ask(name, kind))
        return asked

    async def _families(self, name: dns.name.Name) -> list[tuple[dns.rdatatype.RdataType, _Question]]:
        """The questions for IPv4 and IPv6 addresses, when both are done with."""
        asked = [(kind, self._question(name, kind)) for kind in (A, AAAA)]
        await asyncio.gather(*(question for _, question in asked), return_exceptions=True)
        return asked

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        """Of the first resolver that has an answer."""
        failures = []
        for left, server in zip(range(len(self._servers), 0, -1), self._servers, strict=True):
            share = self._share(left)
            try:
                async with asyncio.timeout(share):
                    answer = await self._transport.ask(server, question(name, kind, recursive=True))
            except NoAnswer as failure:
                failures.append(f"the resolver {server} {failure}")
                continue
            except TimeoutError:
                failures.append(f"the resolver {server} gives no answer in {share:.1f} s")
                continue
            if answer.rcode() in _ANSWERS:
                return answer
            failures.append(f"the resolver {server} answers {dns.rcode.to_text(answer.rcode())}")
        asked = f"{plain(name)} {dns.rdatatype.to_text(kind)}"
        raise LookupFailed(plain(name), f"DNS lookup of {asked}: {'; '.join(failures)}", unanswered=True)

    def _share(self, servers: int) -> float | None:
        """The seconds for one of so many servers, so that one which is silent leaves some to the others."""
        return None if self._end is None else max(0.0, self._end - asyncio.get_running_loop().time()) / servers


def system_resolvers(path: Path = RESOLV_CONF) -> list[Server]:
    """The servers of resolv.conf(5); where it names none, the one on this host."""
    try:
        lines = [line.split() for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        lines = []
    return [Server(words[1]) for words in lines if words[:1] == ["nameserver"] and len(words) > 1] or [
        Server("127.0.0.1")
    ]


def rrset(answer: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    """The records of that name and type in the answer section."""
    return answer.get_rrset(answer.answer, name, IN, kind)


def plain(name: dns.name.Name) -> str:
    """As people write it: in lower case, without the final dot."""
    shown: str = name.canonicalize().to_text(omit_final_dot=True)
    return shown


def _arrows(chain: Sequence[dns.name.Name]) -> str:
    return " -> ".join(plain(name) for name in chain)
