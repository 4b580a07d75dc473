# SPDX-License-Identifier: LGPL-2.1-or-later
"""The preflight, finding by finding."""

import time

import dns.rcode
import dns.rdatatype
import pytest
from dns.rdatatype import AAAA, CAA, TXT, A

from acmed.config.model import ZoneMethod
from acmed.dnsd import checks, service
from acmed.dnsd.reach import is_local
from acmed.varlink import VarlinkError
from tests.unit.dnsd.conftest import Play
from tests.unit.dnsd.nameserver import ROOT, name_of
from tests.unit.dnsd.test_update import give_key
from tests.unit.dnsd.world import ACCOUNT, OTHER, PRIMARY, RESOLVER, SECONDARY, World

WWW = "www.example.test"
PERSISTENT = f'"ca.example; accounturi={ACCOUNT}'


async def one(world: World, check: str, name: str = WWW, type: str = "http-01", **more: list[str]) -> tuple[str, str]:
    return (await world.check({name: type}, **more))[check, name]


def test_resolves_to_this_host(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{WWW}.", "CNAME", "web.acme.test.")
        world.acme.add("web.acme.test.", "A", "127.0.0.1")
        world.acme.add("web.acme.test.", "AAAA", "::1")
        assert await one(world, "resolve") == ("ok", "127.0.0.1, ::1: of this host")
        assert set(await world.check({WWW: "tls-alpn-01"})) == {("resolve", WWW), ("caa", WWW)}

    play(scenario)


def test_resolves_elsewhere(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{WWW}.", "A", "127.0.0.1", "192.0.2.77")
        severity, message = await one(world, "resolve")
        assert severity == "warning"
        assert message.startswith("192.0.2.77 is not an address of this host")

    play(scenario)


def test_does_not_resolve(play: Play) -> None:
    async def scenario(world: World) -> None:
        severity, message = await one(world, "resolve")
        assert (severity, "NXDOMAIN" in message) == ("error", True)
        world.example.add(f"{WWW}.", "TXT", "x")
        severity, message = await one(world, "resolve")
        assert (severity, "no address" in message) == ("error", True)

    play(scenario)


_REFUSALS = [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR]


@pytest.mark.parametrize("rcode", _REFUSALS)
def test_what_the_resolver_refuses_others_may_be_answered(play: Play, rcode: dns.rcode.Rcode) -> None:
    """It speaks for itself. But no record can be set without it."""

    async def scenario(world: World) -> None:
        world.resolver.rcodes[ROOT] = rcode
        code = dns.rcode.to_text(rcode)
        found = await world.check({WWW: "http-01"})
        assert found["resolve", WWW] == (
            "warning",
            f"DNS lookup of {WWW} A: the resolver {RESOLVER} port {world.port} answers {code};"
            " if the CA meets the same, it cannot connect",
        )
        severity, message = found["caa", WWW]
        assert severity == "warning"
        assert message.endswith(f"answers {code}; if the CA meets the same, it may not issue")
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, code in message) == ("warning", True)
        severity, message = await one(world, "update", type="dns-01")
        assert (severity, code in message) == ("error", True)

    play(scenario)


@pytest.mark.parametrize(("good", "bad"), [("A", "AAAA"), ("AAAA", "A")])
def test_one_family_that_is_answered_will_do(play: Play, good: str, bad: str) -> None:
    """As it does for CAs; but that the other one has no address is not known then."""

    async def scenario(world: World) -> None:
        world.resolver.rcodes[name_of(WWW), dns.rdatatype.from_text(bad)] = dns.rcode.SERVFAIL
        severity, message = await one(world, "resolve")
        assert (severity, "NXDOMAIN" in message) == ("error", True)
        world.example.add(f"{WWW}.", "TXT", "x")
        severity, message = await one(world, "resolve")
        assert (severity, f"{WWW} {bad}: " in message) == ("warning", True)
        address = {"A": "127.0.0.1", "AAAA": "::1"}[good]
        world.example.add(f"{WWW}.", good, address)
        assert await one(world, "resolve") == ("ok", f"{address}: of this host")

    play(scenario)


def test_resolver_without_edns(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{WWW}.", "A", "127.0.0.1")
        world.resolver.without_edns = True
        found = await world.check({WWW: "http-01"})
        assert {severity for severity, _ in found.values()} == {"ok"}

    play(scenario)


def test_host_without_a_resolver(play: Play) -> None:
    """What cannot be found out stops no order: the CA has a resolver of its own."""

    async def scenario(world: World) -> None:
        world.resolvers = [OTHER]
        found = await world.check({WWW: "http-01"})
        assert {key: severity for key, (severity, _) in found.items()} == {
            ("resolve", WWW): "warning",
            ("caa", WWW): "warning",
        }
        assert (await one(world, "update", type="dns-01"))[0] == "error"

    play(scenario)


def test_resolvers_that_say_nothing_cost_little_time(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there are several, and many names."""
    monkeypatch.setattr(service, "_PREFLIGHT", 0.3)

    async def scenario(world: World) -> None:
        world.resolver.silent.append(name_of("test."))
        names = [WWW, "example.test", "*.example.test", "wild.example.test"]
        for resolvers in ([RESOLVER], [RESOLVER, RESOLVER, RESOLVER]):
            world.resolvers = resolvers
            start = time.monotonic()
            found = await world.check(dict.fromkeys(names, "http-01"))
            assert time.monotonic() - start < 4
            assert {severity for severity, _ in found.values()} == {"warning"}
            assert "gives no answer in " in found["caa", WWW][1]

    play(scenario)


def test_resolver_that_says_nothing_leaves_time_for_the_next(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_PREFLIGHT", 1.5)

    async def scenario(world: World) -> None:
        world.example.add(f"{WWW}.", "A", "127.0.0.1")
        world.secondary.silent.append(name_of("test."))
        world.resolvers = [SECONDARY, RESOLVER]
        found = await world.check({WWW: "http-01"})
        assert {severity for severity, _ in found.values()} == {"ok"}

    play(scenario)


def test_addresses(play: Play) -> None:
    async def scenario(world: World) -> None:
        found = await world.check({"192.0.2.1": "http-01", "127.0.0.1": "tls-alpn-01"})
        assert {key: severity for key, (severity, _) in found.items()} == {
            ("resolve", "192.0.2.1"): "warning",
            ("resolve", "127.0.0.1"): "ok",
        }

    play(scenario)


def test_local_addresses() -> None:
    assert is_local("127.0.0.1")
    assert is_local("127.9.9.9")
    assert is_local("::1")
    assert not is_local("192.0.2.1")
    assert not is_local("2001:db8::1")
    assert not is_local("255.255.255.255")


def test_caa_climbs(play: Play) -> None:
    async def scenario(world: World) -> None:
        assert await one(world, "caa") == ("ok", "there are no CAA records: any CA may issue")
        world.example.add("example.test.", "CAA", '0 issue "other.example"')
        severity, message = await one(world, "caa")
        assert severity == "error"
        assert 'the CAA records of example.test forbid it: issue "other.example" is not for ca.example' in message
        world.example.add(f"{WWW}.", "CAA", '0 issue "ca.example; validationmethods=http-01"')
        assert (await one(world, "caa"))[0] == "ok"
        assert (await one(world, "caa", type="dns-01"))[0] == "error"
        assert (await one(world, "caa", type="none"))[0] == "ok"

    play(scenario)


def test_caa_behind_a_cname(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(f"{WWW}.", "CNAME", "web.acme.test.")
        world.acme.add("web.acme.test.", "CAA", '0 issue "other.example"')
        assert (await one(world, "caa"))[0] == "error"

    play(scenario)


def test_caa_of_wildcards(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add("example.test.", "CAA", '0 issue "ca.example"', '0 issuewild "other.example"')
        found = await world.check({"*.example.test": "dns-01", "example.test": "dns-01"})
        assert found["caa", "*.example.test"][0] == "error"
        assert found["caa", "example.test"][0] == "ok"

    play(scenario)


def test_caa_of_a_ca_that_has_no_name(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add("example.test.", "CAA", '0 issue "ca.example"')
        severity, message = await one(world, "caa", issuers=[])
        assert (severity, "cannot be judged" in message) == ("ok", True)

    play(scenario)


@pytest.mark.parametrize("at", ["example.test.", "test."])
def test_caa_that_cannot_be_looked_up(play: Play, at: str) -> None:
    """Also far above. What is answered before that counts."""

    async def scenario(world: World) -> None:
        world.resolver.rcodes[name_of(at), CAA] = dns.rcode.REFUSED
        severity, message = await one(world, "caa")
        assert severity == "warning"
        assert f"{at.rstrip('.')} CAA: " in message
        world.example.add(f"{WWW}.", "CAA", '0 issue "other.example"')
        assert (await one(world, "caa"))[0] == "error"

    play(scenario)


def test_update_key_works_and_nothing_is_left(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world)
        world.example.add(f"_acme-challenge.{WWW}.", "TXT", "others")
        before = world.example.values(f"_acme-challenge.{WWW}.")
        severity, message = await one(world, "update", type="dns-01")
        assert (severity, "with the key acme" in message) == ("ok", True)
        assert world.example.values(f"_acme-challenge.{WWW}.") == before
        assert world.example.serial == 1
        (update,) = world.primary.updates
        assert [str(rrset.name) for rrset in update.sections[2]] == [f"_acme-challenge.{WWW}."]

    play(scenario)


def test_update_key_does_not_work(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world)
        world.primary.refusing_updates = dns.rcode.REFUSED
        severity, message = await one(world, "update", type="dns-account-01")
        assert (severity, "does not let the key acme" in message) == ("error", True)

    play(scenario)


def test_update_without_a_key_or_a_method(play: Play) -> None:
    async def scenario(world: World) -> None:
        severity, message = await one(world, "update", type="dns-01")
        assert (severity, "without a key" in message) == ("warning", True)
        world.settings(method=ZoneMethod.LOCAL)
        assert (await one(world, "update", type="dns-01"))[0] == "ok"
        del world.configuration.zones["example.test"]
        severity, message = await one(world, "update", type="dns-01")
        assert severity == "error"
        assert "no [zone] of the configuration is for the zone example.test" in message

    play(scenario)


@pytest.mark.parametrize(
    ("severity", "value", "reason"),
    [
        ("ok", f'{PERSISTENT}"', ""),
        ("ok", f'{PERSISTENT}; policy=wildcard; new=1"', ""),
        ("ok", f'{PERSISTENT}; persistUntil=9999999999"', ""),
        ("error", f'{PERSISTENT}; persistUntil=1000000000"', "has run out"),
        ("error", f'{PERSISTENT}; persistUntil=soon"', "malformed"),
        ("error", f'{PERSISTENT}/2"', "another account"),
        ("error", PERSISTENT.replace("ca.example;", "other.example;") + '"', "is not for ca.example"),
        ("error", '"ca.example"', "another account"),
        ("error", '"v=spf1 -all"', "is not for"),
        ("error", '"ca.example; nonsense"', "malformed"),
        ("error", '"\\255"', "malformed"),
        ("error", "", "there is none"),
    ],
)
def test_lasting_record(play: Play, severity: str, value: str, reason: str) -> None:
    async def scenario(world: World) -> None:
        if value:
            world.example.add(f"_validation-persist.{WWW}.", "TXT", value)
        found, message = await one(world, "records", type="dns-persist-01")
        assert found == severity
        assert reason in message
        # It would remember that there is none, and tell a CA which asks it so when the record is set.
        assert not [question for question in world.resolver.asked if question.endswith(" TXT")]

    play(scenario)


def test_lasting_record_of_a_wildcard(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add("_validation-persist.example.test.", "TXT", f'{PERSISTENT}"')
        found = await world.check({"*.example.test": "dns-persist-01", "example.test": "dns-persist-01"})
        assert found["records", "example.test"][0] == "ok"
        assert found["records", "*.example.test"][0] == "error"
        assert "policy=wildcard" in found["records", "*.example.test"][1]

    play(scenario)


def test_lasting_record_at_some_servers_only(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.lag()
        world.example.add(f"_validation-persist.{WWW}.", "TXT", f'{PERSISTENT}"')
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, SECONDARY in message) == ("error", True)
        world.secondary.rcodes[name_of(f"_validation-persist.{WWW}")] = dns.rcode.SERVFAIL
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, "SERVFAIL" in message) == ("warning", True)

    play(scenario)


@pytest.mark.parametrize("rcode", [None, dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_lasting_record_where_none_of_the_servers_answers(
    play: Play, monkeypatch: pytest.MonkeyPatch, rcode: dns.rcode.Rcode | None
) -> None:
    """A firewall may let this host ask its resolver alone, which then counts; else nothing is known."""
    monkeypatch.setattr(checks, "TIMEOUT", 0.2)
    record = f"_validation-persist.{WWW}."

    async def scenario(world: World) -> None:
        for server in (world.primary, world.secondary):
            if rcode is None:
                server.silent.append(name_of("test."))
            else:
                server.rcodes[ROOT] = rcode
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, message.endswith("; by the resolver: there is none")) == ("error", True)
        world.example.add(record, "TXT", f'{PERSISTENT}"')
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, message.endswith("; the resolver has it")) == ("warning", True)
        assert all(address in message for address in (PRIMARY, SECONDARY))
        world.resolver.rcodes[name_of(record), TXT] = dns.rcode.SERVFAIL
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, "resolver" in message) == ("warning", False)

    play(scenario)


def test_lasting_record_in_a_zone_whose_servers_are_not_known(play: Play) -> None:
    async def scenario(world: World) -> None:
        for name in ("ns1.example.test.", "ns2.example.test."):
            world.resolver.rcodes[name_of(name)] = dns.rcode.REFUSED
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, "ns1.example.test A: " in message) == ("warning", True)
        world.resolver.rcodes.clear()
        for kind in (A, AAAA):
            for name in ("ns1.example.test.", "ns2.example.test."):
                world.example.records.pop((name_of(name), kind), None)
        severity, message = await one(world, "records", type="dns-persist-01")
        assert (severity, "ns1.example.test has no address" in message) == ("error", True)

    play(scenario)


def test_only_for_what_is_configured(play: Play) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(VarlinkError, match="NotConfigured"):
            await world.check({"b.test": "dns-01"})

    play(scenario)
