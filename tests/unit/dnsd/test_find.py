# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a record belongs."""

from pathlib import Path

import dns.rcode
import pytest

from acmed.config.model import Configuration, ZoneMethod
from acmed.config.model import Zone as Settings
from acmed.dnsd.resolver import system_resolvers
from acmed.varlink import VarlinkError
from tests.unit.dnsd.conftest import Play
from tests.unit.dnsd.nameserver import name_of
from tests.unit.dnsd.world import RESOLVER, World, record, zone

CHALLENGE = "_acme-challenge.www.example.test"


def failure(error: VarlinkError) -> tuple[str, str]:
    return error.name.removeprefix("org.acmed.DNS."), error.parameters.get("message", "")


def test_zone_by_soa(play: Play) -> None:
    async def scenario(world: World) -> None:
        (place,) = await world.find(record())
        assert place == {"record": record(), "name": CHALLENGE, "zone": "example.test", "method": "update"}
        assert len(world.resolver.asked) == 2, "one for CNAME, and one for SOA"

    play(scenario)


def test_zone_by_soa_where_the_resolver_does_not_pass_it_on(play: Play) -> None:
    """systemd-resolved answers without an authority section."""

    async def scenario(world: World) -> None:
        world.resolver.without_authority_section = True
        assert [place["zone"] for place in await world.find(record())] == ["example.test"]

    play(scenario)


def test_a_delegated_zone_is_found_and_takes_the_settings_above(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.resolver.zones.append(zone("www.example.test."))
        (place,) = await world.find(record())
        assert (place["zone"], place["method"]) == ("www.example.test", "update")

    play(scenario)


def test_cname_into_another_zone(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{CHALLENGE}.", "CNAME", "one.example.test.")
        world.example.add("one.example.test.", "CNAME", "two.ACME.test.")
        (place,) = await world.find(record())
        assert (place["name"], place["zone"]) == ("two.acme.test", "acme.test")

    play(scenario)


def test_cname_circle(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{CHALLENGE}.", "CNAME", "one.example.test.")
        world.example.add("one.example.test.", "CNAME", f"{CHALLENGE}.")
        with pytest.raises(VarlinkError) as raised:
            await world.find(record())
        kind, message = failure(raised.value)
        assert kind == "LookupFailed"
        assert f"{CHALLENGE} -> one.example.test -> {CHALLENGE}" in message

    play(scenario)


def test_too_many_cnames(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{CHALLENGE}.", "CNAME", "0.example.test.")
        for number in range(20):
            world.example.add(f"{number}.example.test.", "CNAME", f"{number + 1}.example.test.")
        with pytest.raises(VarlinkError) as raised:
            await world.find(record())
        assert "more than 8 CNAME records" in failure(raised.value)[1]

    play(scenario)


def test_servfail_names_server_question_and_answer(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.resolver.rcodes[name_of(CHALLENGE)] = dns.rcode.SERVFAIL
        with pytest.raises(VarlinkError) as raised:
            await world.find(record())
        kind, message = failure(raised.value)
        assert kind == "LookupFailed"
        assert raised.value.parameters["name"] == CHALLENGE
        assert f"{CHALLENGE} CNAME" in message
        assert f"{RESOLVER} port {world.port} answers SERVFAIL" in message

    play(scenario)


def test_the_next_resolver_is_asked(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.resolvers = ["127.0.0.99", RESOLVER]
        assert (await world.find(record()))[0]["zone"] == "example.test"
        world.resolvers = ["127.0.0.99"]
        with pytest.raises(VarlinkError) as raised:
            await world.find(record())
        assert "127.0.0.99" in failure(raised.value)[1]
        assert "refuses connections" in failure(raised.value)[1]

    play(scenario)


def test_truncated_answers_are_asked_for_over_tcp(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.resolver.truncating = True
        assert (await world.find(record()))[0]["zone"] == "example.test"
        assert {line.split()[0] for line in world.resolver.asked} == {"udp", "tcp"}

    play(scenario)


def test_methods(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.settings(method=ZoneMethod.HOOK)
        assert (await world.find(record()))[0]["method"] == "hook"
        del world.configuration.zones["example.test"]
        assert (await world.find(record()))[0]["method"] == "none"

    play(scenario)


def test_a_configured_zone_that_is_none(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.configuration.zones["www.example.test"] = Settings("www.example.test")
        with pytest.raises(VarlinkError) as raised:
            await world.find(record())
        kind, message = failure(raised.value)
        assert kind == "LookupFailed"
        assert '[zone."www.example.test"]' in message
        assert "in the zone example.test" in message

    play(scenario)


def test_no_zone_at_all(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.resolver.zones = []
        with pytest.raises(VarlinkError) as raised:
            await world.find(record())
        assert "no SOA record" in failure(raised.value)[1]

    play(scenario)


@pytest.mark.parametrize("identifier", ["b.test", "x.www.example.test", "test.example", "le.test", "ple.test"])
def test_only_for_what_is_configured(play: Play, identifier: str) -> None:
    async def scenario(world: World) -> None:
        for call in (world.find, world.present, world.wait):
            with pytest.raises(VarlinkError) as raised:
                await call(record(identifier))
            assert failure(raised.value)[0] == "NotConfigured"
            assert raised.value.parameters == {"identifier": identifier}
        assert not world.resolver.asked

    play(scenario)


def test_names_of_wildcards_and_of_authorize_are_configured(play: Play) -> None:
    async def scenario(world: World) -> None:
        assert (await world.find(record("example.test")))[0]["zone"] == "example.test"
        assert (await world.find(record("a.test")))[0]["zone"] == "test"

    play(scenario)


def test_what_was_presented_is_removed_after_its_certificate_was_forgotten(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        world.configuration = Configuration(zones=world.configuration.zones)
        await world.remove(record())
        assert not world.example.values(f"{CHALLENGE}.")
        lasting = record(type="dns-persist-01", value="ca.example; accounturi=a")
        with pytest.raises(VarlinkError, match="NotConfigured"):
            await world.remove(lasting)

    play(scenario)


def test_bad_arguments(play: Play) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(VarlinkError) as raised:
            await world.find(record(value="x"))
        assert raised.value.parameters == {"parameter": "records.value"}
        for deadline in (0, -1, 10**9):
            with pytest.raises(VarlinkError) as raised:
                await world.wait(record(), deadline=deadline)
            assert raised.value.parameters == {"parameter": "deadline"}
        with pytest.raises(VarlinkError) as raised:
            await world.check({"www.example.test": "nonsense"})
        assert raised.value.parameters == {"parameter": "types"}

    play(scenario)


def test_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    assert [server.address for server in system_resolvers(path)] == ["127.0.0.1"]
    path.write_text("# nameserver 192.0.2.9\nsearch a\nnameserver 192.0.2.1\nnameserver fe80::1%lo\nnameserver\n")
    assert [server.address for server in system_resolvers(path)] == ["192.0.2.1", "fe80::1%lo"]
