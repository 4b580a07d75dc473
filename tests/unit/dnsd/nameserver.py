# SPDX-License-Identifier: LGPL-2.1-or-later
"""Name servers on loopback addresses, over UDP and TCP, that can be made to fail in every way. BIND and Knot are in the
system tests; they cannot be made to lag, lie or truncate at will.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
from dns.rdataclass import ANY, IN, NONE
from dns.rdatatype import CNAME, SOA

Key = tuple[dns.name.Name, dns.rdatatype.RdataType]
ROOT = dns.name.root


def name_of(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


@dataclass
class Zone:
    """Records by name and type. serial is that of the SOA record, which is made at each answer."""

    name: dns.name.Name
    primary: str
    records: dict[Key, set[dns.rdata.Rdata]] = field(default_factory=dict)
    ttls: dict[Key, int] = field(default_factory=dict)
    serial: int = 1

    def add(self, name: str, kind: str, *values: str) -> None:
        key = (name_of(name), dns.rdatatype.from_text(kind))
        self.records.setdefault(key, set()).update(dns.rdata.from_text(IN, key[1], value) for value in values)

    def values(self, name: str, kind: str = "TXT") -> set[str]:
        found = self.records.get((name_of(name), dns.rdatatype.from_text(kind)), set())
        return {value.to_text() for value in found}

    def find(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> set[dns.rdata.Rdata]:
        if (name, kind) == (self.name, SOA):
            return {self.soa}
        return self.records.get((name, kind), set())

    def exists(self, name: dns.name.Name) -> bool:
        """Also an empty non-terminal (RFC 8020)."""
        return name == self.name or any(
            known.is_subdomain(name) and found for (known, _), found in self.records.items()
        )

    @property
    def soa(self) -> dns.rdata.Rdata:
        return dns.rdata.from_text(IN, SOA, f"{self.primary} hostmaster.{self.name} {self.serial} 60 60 3600 60")

    def update(self, message: dns.message.Message) -> None:
        """RFC 2136 section 3.4.2, as far as anybody here asks for it."""
        for rrset in message.sections[2]:
            key = (rrset.name, rrset.rdtype)
            before = set(self.records.get(key, set()))
            if rrset.deleting == NONE:
                self.records[key] = before - set(rrset)
            elif rrset.deleting == ANY:
                self.records.pop(key, None)
            else:
                self.records[key] = before | set(rrset)
                self.ttls[key] = rrset.ttl
            self.serial += before != self.records.get(key, set())


@dataclass
class NameServer:
    """One address. zones: what it has. recursive: it follows CNAME records through all its zones, as a resolver.

    rcodes: what it answers in place of an answer, by the question's name, by that and its type, or by ROOT to all.
    without_edns: it does not know EDNS (RFC 6891 section 7). silent: no answer to
    names at or below. truncating: over UDP, everything. refusing_updates: the code for it. keys: those that it demands
    updates to be signed with. frozen: an old state of its zones, as a secondary has that lags.
    """

    zones: list[Zone]
    recursive: bool = False
    rcodes: dict[dns.name.Name | Key, dns.rcode.Rcode] = field(default_factory=dict)
    without_edns: bool = False
    silent: list[dns.name.Name] = field(default_factory=list)
    truncating: bool = False
    without_authority_section: bool = False
    lame: bool = False
    refusing_updates: dns.rcode.Rcode | None = None
    keys: list[dns.tsig.Key] = field(default_factory=list)
    unsigned_answers: bool = False
    clock_is_wrong: bool = False
    dropping_updates_over_udp: bool = False
    asked: list[str] = field(default_factory=list)
    updates: list[dns.message.Message] = field(default_factory=list)

    def answer(self, wire: bytes, over: str) -> bytes | None:
        keyring = {key.name: key for key in self.keys}
        try:
            query = dns.message.from_wire(wire, keyring=keyring or None)
        except dns.message.UnknownTSIGKey:
            return self._bad_signature(wire, dns.rcode.BADKEY)
        except dns.tsig.BadSignature:
            return self._bad_signature(wire, dns.rcode.BADSIG)
        if query.had_tsig and self.clock_is_wrong:
            self._name = query.keyname
            return self._tsig_error(query, dns.rcode.BADTIME)
        response = dns.message.make_response(query)
        if query.opcode() == dns.opcode.UPDATE:
            if over == "udp" and self.dropping_updates_over_udp:
                return None
            self._update(query, response)
        else:
            question = query.question[0]
            self.asked.append(f"{over} {question.name} {dns.rdatatype.to_text(question.rdtype)}")
            if any(question.name.is_subdomain(name) for name in self.silent):
                return None
            if self.without_edns and query.edns >= 0:
                response = dns.message.Message(query.id)
                response.flags = dns.flags.QR
                response.set_rcode(dns.rcode.FORMERR)
            elif over == "udp" and self.truncating:
                response.flags |= dns.flags.TC
            else:
                self._look_up(question, response)
        if self.unsigned_answers:
            response.tsig = None
        return _wire(response, over)

    def datagrams(self, wire: bytes) -> list[bytes]:
        """What comes back over UDP."""
        answer = self.answer(wire, "udp")
        return [] if answer is None else [answer]

    def _bad_signature(self, wire: bytes, code: dns.rcode.Rcode) -> bytes:
        """As BIND does it: NOTAUTH, and a TSIG record without a signature (RFC 8945 section 5.2)."""
        return self._tsig_error(dns.message.from_wire(wire, continue_on_error=True, keyring=self._any_key), code)

    def _tsig_error(self, query: dns.message.Message, code: dns.rcode.Rcode) -> bytes:
        response = dns.message.Message(query.id)
        response.flags = dns.flags.QR | dns.opcode.to_flags(dns.opcode.UPDATE)
        response.set_rcode(dns.rcode.NOTAUTH)
        rrset = dns.message.Message._make_tsig(self._name, dns.tsig.HMAC_SHA256, 0, 300, b"", query.id, code, b"")
        body = response.to_wire()
        tsig = dns.message.Message(query.id)
        tsig.additional.append(rrset)
        answer: bytes = body[:10] + b"\0\1" + tsig.to_wire()[12:]
        return answer

    def _any_key(self, _: dns.message.Message, name: dns.name.Name) -> dns.tsig.Key:
        self._name = name
        return dns.tsig.Key(name, b"none")

    def _update(self, query: dns.message.Message, response: dns.message.Message) -> None:
        zone = next((zone for zone in self.zones if zone.name == query.sections[0][0].name), None)
        if self.refusing_updates is not None:
            response.set_rcode(self.refusing_updates)
        elif zone is None:
            response.set_rcode(dns.rcode.NOTAUTH)
        elif self.keys and not query.had_tsig:
            response.set_rcode(dns.rcode.REFUSED)
        else:
            self.updates.append(query)
            zone.update(query)

    def _look_up(self, question: dns.rrset.RRset, response: dns.message.Message) -> None:
        name, kind = question.name, question.rdtype
        code = self.rcodes.get((name, kind), self.rcodes.get(name, self.rcodes.get(ROOT)))
        if code is not None:
            response.set_rcode(code)
            return
        if self.recursive:
            response.flags |= dns.flags.RA
        elif not self.lame:
            response.flags |= dns.flags.AA
        for _ in range(20):
            zone = self._zone(name)
            if zone is None:
                response.set_rcode(dns.rcode.NXDOMAIN if self.recursive else dns.rcode.REFUSED)
                return
            if found := zone.find(name, kind):
                response.answer.append(dns.rrset.from_rdata_list(name, zone.ttls.get((name, kind), 60), list(found)))
                return
            aliases = zone.find(name, CNAME) if kind != CNAME else set()
            if not aliases:
                if not zone.exists(name):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                if not self.without_authority_section:
                    response.authority.append(dns.rrset.from_rdata(zone.name, 60, zone.soa))
                return
            (alias,) = aliases
            response.answer.append(dns.rrset.from_rdata(name, 60, alias))
            name = alias.target
            if not self.recursive:
                return

    def _zone(self, name: dns.name.Name) -> Zone | None:
        above = [zone for zone in self.zones if name.is_subdomain(zone.name)]
        return max(above, key=lambda zone: len(zone.name), default=None)


@asynccontextmanager
async def serving(servers: dict[str, NameServer]) -> AsyncIterator[int]:
    """All of them, each at its address, on one port, which is the result."""
    port, datagrams, listeners = _sockets(servers)
    loop = asyncio.get_running_loop()
    streams = []
    try:
        for address, server in servers.items():
            loop.add_reader(datagrams[address], _receive, datagrams[address], server)
            streams.append(await asyncio.start_server(_connected(server), sock=listeners[address]))
        yield port
    finally:
        for stream in streams:
            stream.close()
        for peer in datagrams.values():
            loop.remove_reader(peer)
            peer.close()


def _receive(peer: socket.socket, server: NameServer) -> None:
    wire, sender = peer.recvfrom(65535)
    for answer in server.datagrams(wire):
        peer.sendto(answer, sender)


def _wire(response: dns.message.Message, over: str) -> bytes:
    wire: bytes
    try:
        wire = response.to_wire(max_size=1232 if over == "udp" else 65535)
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        wire = response.to_wire()
    return wire


def _connected(server: NameServer):  # type: ignore[no-untyped-def]
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = server.answer(await reader.readexactly(size), "tcp")
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
            await writer.drain()
        await reader.read()  # a silent one keeps its callers
        writer.close()

    return serve


def _sockets(addresses: Iterable[str]) -> tuple[int, dict[str, socket.socket], dict[str, socket.socket]]:
    """The same free port at all addresses, for UDP and TCP."""
    while True:
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            port = any_port.getsockname()[1]
        opened: list[socket.socket] = []
        try:
            datagrams: dict[str, socket.socket] = {}
            listeners: dict[str, socket.socket] = {}
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                for kind, into in ((socket.SOCK_DGRAM, datagrams), (socket.SOCK_STREAM, listeners)):
                    peer = socket.socket(family, kind | socket.SOCK_NONBLOCK)
                    opened.append(peer)
                    peer.bind((address, port))
                    into[address] = peer
        except OSError:
            for peer in opened:
                peer.close()
            continue
        return port, datagrams, listeners
