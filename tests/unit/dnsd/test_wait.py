# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting until every server has a value. None of these waits for longer than it takes to see what it must see."""

import asyncio
import time

import dns.rcode
import pytest

from acmed.config.model import Propagation, ZoneMethod
from acmed.varlink import VarlinkError
from tests.unit.dnsd.conftest import Play
from tests.unit.dnsd.nameserver import ROOT, name_of
from tests.unit.dnsd.world import CALLER, PRIMARY, SECONDARY, World, record

CHALLENGE = "_acme-challenge.www.example.test."
SHORT = 0.3  # seconds


async def too_late(world: World, *records: dict[str, str]) -> str:
    with pytest.raises(VarlinkError) as raised:
        await world.wait(*(records or (record(),)), deadline=SHORT)
    assert raised.value.name == "org.acmed.DNS.NotPropagated"
    assert raised.value.parameters["name"] == CHALLENGE.rstrip(".")
    message: str = raised.value.parameters["message"]
    return message


def test_all_have_it(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        assert await world.wait(record()) == ("", [])
        for server in (world.primary, world.secondary):
            assert f"udp {CHALLENGE} TXT" in server.asked

    play(scenario)


def test_the_lagging_one_is_named_until_it_has_it(play: Play) -> None:
    async def scenario(world: World) -> None:
        old = world.lag()
        await world.present(record())
        done = asyncio.Event()

        async def progress(reply: dict[str, object]) -> None:
            detail = str(reply["detail"])
            assert detail.startswith(f"ns2.example.test ({SECONDARY} port {world.port}) does not have the value")
            old.add(CHALLENGE, "TXT", record()["value"])
            done.set()

        answer = await world.handlers.wait(CALLER, progress, 1, "example", [record()], 60)
        assert answer == {"done": True, "detail": ""}
        assert done.is_set()

    play(scenario)


def test_old_values_and_serials(play: Play) -> None:
    async def scenario(world: World) -> None:
        old = world.lag()
        old.add(CHALLENGE, "TXT", "old")
        await world.present(record())
        message = await too_late(world)
        assert f"ns2.example.test ({SECONDARY}" in message
        assert "has 1 other TXT values there" in message
        assert "its serial is 1, that of the primary" in message
        assert "2: it lags behind" in message
        assert f"({PRIMARY} port {world.port}) does not" not in message

    play(scenario)


def test_split_dns(play: Play) -> None:
    """The server that takes the updates has another zone of the same name than what the world sees."""

    async def scenario(world: World) -> None:
        public = world.lag()
        public.serial = 2026010101
        world.example.records[name_of("ns1.example.test."), 1].clear()
        world.example.add("ns1.example.test.", "A", SECONDARY)
        world.settings(server=PRIMARY)
        await world.present(record())
        message = await too_late(world)
        assert "its serial is 2026010101" in message
        assert f"{PRIMARY} port {world.port}, which takes the updates, 2" in message
        assert "split DNS" in message

    play(scenario)


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_failing_server(play: Play, code: dns.rcode.Rcode) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        world.secondary.rcodes[ROOT] = code
        message = await too_late(world)
        assert f"({SECONDARY} port {world.port}) answers {dns.rcode.to_text(code)}" in message

    play(scenario)


def test_lame_server(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        world.secondary.lame = True
        assert "has no authority for the zone" in await too_late(world)

    play(scenario)


def test_silent_server(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        world.secondary.silent = [ROOT]
        assert f"({SECONDARY} port {world.port}) gives no answer in" in await too_late(world)

    play(scenario)


def test_server_that_is_not_there(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add("ns2.example.test.", "A", "127.0.0.99")
        await world.present(record())
        message = await too_late(world)
        assert f"(127.0.0.99 port {world.port}) refuses connections" in message

    play(scenario)


def test_truncated_answers_are_asked_for_over_tcp(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        world.secondary.truncating = True
        await world.wait(record())
        assert f"tcp {CHALLENGE} TXT" in world.secondary.asked

    play(scenario)


def test_a_server_without_address_is_not_waited_for(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add("example.test.", "NS", "ns3.example.test.")
        await world.present(record())
        assert await world.wait(record()) == ("not asked: ns3.example.test has no address", [])

    play(scenario)


def test_a_server_whose_name_cannot_be_looked_up_is_not_waited_for(play: Play) -> None:
    """The zone of that name is somebody else's, and its failure no reason for ours."""

    async def scenario(world: World) -> None:
        world.example.add("example.test.", "NS", "ns3.elsewhere.test.")
        world.resolver.rcodes[name_of("ns3.elsewhere.test.")] = dns.rcode.SERVFAIL
        await world.present(record())
        detail, said = await world.wait(record())
        assert detail.startswith("not asked: ") and "ns3.elsewhere.test" in detail and "SERVFAIL" in detail
        assert said == []

    play(scenario)


def test_no_server_can_be_asked(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        for name in ("ns1.example.test.", "ns2.example.test."):
            world.example.records[name_of(name), 1].clear()
        with pytest.raises(VarlinkError) as raised:
            await world.wait(record())
        assert raised.value.name == "org.acmed.DNS.LookupFailed"
        assert "no name server that could be asked: ns1.example.test has no address" in str(raised.value)

    play(scenario)


def test_skip(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.settings(propagation=Propagation.SKIP)
        assert await world.wait(record()) == ("", [])
        assert not world.primary.asked

    play(scenario)


def test_fixed_time(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.settings(propagation=1)
        begin = time.monotonic()
        _, said = await world.wait(record(), deadline=60)
        assert time.monotonic() - begin >= 1
        assert said == ["waiting for 1 s, as the configuration says"]
        assert not world.primary.asked
        world.settings(propagation=61)
        with pytest.raises(VarlinkError, match="longer than the deadline"):
            await world.wait(record(), deadline=60)

    play(scenario)


def test_zones_each_in_their_way(play: Play) -> None:
    """Also those that acme-dnsd does not set the values of."""

    async def scenario(world: World) -> None:
        world.example.add("_acme-challenge.wild.example.test.", "CNAME", "w.acme.test.")
        world.settings("acme.test", propagation=Propagation.SKIP)
        await world.present(record())
        world.settings(method=ZoneMethod.HOOK)
        await world.wait(record(), record("wild.example.test"))
        world.settings("acme.test", propagation=Propagation.CHECK)
        with pytest.raises(VarlinkError) as raised:
            await world.wait(record(), record("wild.example.test"), deadline=SHORT)
        assert raised.value.parameters["name"] == "w.acme.test"

    play(scenario)
