# SPDX-License-Identifier: LGPL-2.1-or-later
"""Zones and servers of others that would have acme-dnsd work without end."""

import asyncio
import socket

import dns.exception
import dns.message
import pytest

from acmed.dnsd import transport
from acmed.dnsd.authority import servers_of
from acmed.dnsd.resolver import Resolver
from acmed.dnsd.transport import Server, Transport, question
from tests.unit.dnsd.conftest import Play
from tests.unit.dnsd.nameserver import name_of
from tests.unit.dnsd.world import RESOLVER, World

_MANY = 100


def test_zone_with_more_servers_than_anybody_has(play: Play) -> None:
    async def scenario(world: World) -> None:
        for number in range(_MANY):
            world.example.add("example.test.", "NS", f"n{number}.example.test.")
            addresses = [f"127.{number}.{last}.1" for last in range(_MANY)]
            world.example.add(f"n{number}.example.test.", "A", *addresses)
        resolver = Resolver(Transport(world.port), [Server(RESOLVER, port=world.port)])
        found = await servers_of(name_of("example.test."), resolver, world.port)
        assert 0 < len(found.found) <= 512
        assert len(world.resolver.asked) < _MANY
        assert "more name servers" in " ".join(found.missing)

    play(scenario)


def test_flood_of_datagrams_lets_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        ticks, seen = 0, []

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        def read(query: dns.message.Message, received: bytes) -> dns.message.Message:
            seen.append(ticks)
            if received == b"last":
                return query
            raise dns.exception.FormError

        monkeypatch.setattr(transport, "_read", read)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with ours, theirs:
            ours.setblocking(False)
            for datagram in [b"junk"] * 5 + [b"last"]:
                theirs.send(datagram)
            other = asyncio.ensure_future(tick())
            query = question(name_of("example.test."), dns.rdatatype.TXT, recursive=False)
            assert await transport._sent(ours, query, b"wire") is query
            other.cancel()
        assert len(set(seen)) == len(seen)

    asyncio.run(run())
