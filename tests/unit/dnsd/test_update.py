# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adding and removing values. With BIND and Knot: tests/system/test_dnsd.py."""

import dns.rcode
import dns.tsig
import pytest

from acmed.config.model import ZoneMethod
from acmed.varlink import VarlinkError
from tests.unit.dnsd.conftest import Play
from tests.unit.dnsd.nameserver import name_of
from tests.unit.dnsd.world import PRIMARY, SECONDARY, VALUE, World, record

CHALLENGE = "_acme-challenge.www.example.test."
OTHER = "B" * 43
SECRET = "K9sT2nqUu1vX0Yb3m5o7w9z1A3C5E7G9I1K3M5O7Q9S="


def give_key(world: World, secret: str = SECRET, algorithm: str = "hmac-sha512") -> None:
    text = f'key "acme." {{ algorithm {algorithm}; secret "{SECRET}"; }};'
    (world.credentials / "tsig_acme").write_text(text)
    world.settings(key="acme")
    world.primary.keys = [dns.tsig.Key("acme.", secret, algorithm)]


async def refusal(world: World, *records: dict[str, str]) -> str:
    with pytest.raises(VarlinkError) as raised:
        await world.present(*(records or (record(),)))
    assert raised.value.name == "org.acmed.DNS.UpdateFailed"
    message: str = raised.value.parameters["message"]
    return message


def test_other_values_survive(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add(CHALLENGE, "TXT", OTHER)
        await world.present(record())
        assert world.example.values(CHALLENGE) == {f'"{VALUE}"', f'"{OTHER}"'}
        assert set(world.example.ttls.values()) == {77}
        await world.remove(record())
        assert world.example.values(CHALLENGE) == {f'"{OTHER}"'}

    play(scenario)


def test_twice_is_the_same_as_once(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        await world.present(record(), record())
        assert world.example.values(CHALLENGE) == {f'"{VALUE}"'}
        await world.remove(record())
        await world.remove(record())
        assert not world.example.values(CHALLENGE)

    play(scenario)


def test_records_of_one_zone_are_one_update(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.add("_acme-challenge.wild.example.test.", "CNAME", "w.acme.test.")
        records = [record(), record(value=OTHER), record("example.test"), record("wild.example.test")]
        await world.present(*records)
        assert sorted(len(update.sections[2]) for update in world.primary.updates) == [1, 3]
        assert world.acme.values("w.acme.test.") == {f'"{VALUE}"'}
        await world.remove(*records)
        assert not world.acme.values("w.acme.test.")

    play(scenario)


def test_signed(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world)
        await world.present(record())
        (update,) = world.primary.updates
        assert update.had_tsig
        assert update.keyalgorithm == dns.tsig.HMAC_SHA512

    play(scenario)


def test_an_answer_without_a_signature_is_none(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world)
        world.primary.unsigned_answers = True
        assert "answers without a signature" in await refusal(world)

    play(scenario)


def test_another_secret(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world, secret=SECRET.lower())
        message = await refusal(world)
        assert "BADSIG" in message
        assert "the key acme. (hmac-sha512)" in message
        assert SECRET not in message

    play(scenario)


def test_a_key_that_the_server_does_not_have(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world)
        world.primary.keys = [dns.tsig.Key("other.", SECRET)]
        message = await refusal(world)
        assert "BADKEY; it has no key acme. (hmac-sha512)" in message

    play(scenario)


def test_clocks_that_differ(play: Play) -> None:
    async def scenario(world: World) -> None:
        give_key(world)
        world.primary.clock_is_wrong = True
        message = await refusal(world)
        assert "BADTIME" in message
        assert "timedatectl" in message

    play(scenario)


def test_a_key_without_credential(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.settings(key="none")
        message = await refusal(world)
        assert 'key of [zone."example.test"]' in message
        assert "systemd-creds encrypt --name=tsig_none" in message
        assert not world.primary.updates

    play(scenario)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (dns.rcode.REFUSED, 'set key in [zone."example.test"]'),
        (dns.rcode.NOTAUTH, 'set server in [zone."example.test"]'),
        (dns.rcode.NOTZONE, 'set server in [zone."example.test"]'),
        (dns.rcode.SERVFAIL, "see its log"),
        (dns.rcode.NOTIMP, "takes no updates"),
        (dns.rcode.FORMERR, "see its log"),
    ],
)
def test_refused(play: Play, code: dns.rcode.Rcode, advice: str) -> None:
    async def scenario(world: World) -> None:
        world.primary.refusing_updates = code
        message = await refusal(world)
        assert f"ns1.example.test ({PRIMARY} port {world.port}) answers {dns.rcode.to_text(code)}" in message
        assert advice in message
        assert "the zone example.test" in message

    play(scenario)


def test_each_address_is_tried(play: Play) -> None:
    """The first refuses, as one does that allows this host over IPv4 only; of a dead one nothing comes."""

    async def scenario(world: World) -> None:
        world.example.records[name_of("ns1.example.test."), 1].clear()
        world.example.add("ns1.example.test.", "A", "127.0.0.99")
        world.example.add("ns1.example.test.", "A", PRIMARY)
        world.example.add("ns1.example.test.", "A", SECONDARY)
        world.primary.refusing_updates = dns.rcode.REFUSED
        await world.present(record())
        assert world.secondary.updates
        world.secondary.refusing_updates = dns.rcode.SERVFAIL
        message = await refusal(world)
        for said in ("REFUSED", "SERVFAIL", "(127.0.0.99 port", "refuses connections"):
            assert said in message

    play(scenario)


def test_tcp_where_udp_does_not_do(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.settings(timeout=1)
        world.primary.dropping_updates_over_udp = True
        await world.present(record())
        assert world.example.values(CHALLENGE)

    play(scenario)


def test_a_hundred_values_at_once(play: Play) -> None:
    async def scenario(world: World) -> None:
        records = [record(value=f"{number:043}") for number in range(100)]
        await world.present(*records)
        assert len(world.example.values(CHALLENGE)) == 100
        await world.wait(*records)
        await world.remove(*records)
        assert not world.example.values(CHALLENGE)

    play(scenario)


def test_another_server_than_the_soa_says(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.example.primary = "hidden.example.test."
        message = await refusal(world)
        assert "its primary, hidden.example.test by its SOA record, has no address" in message
        assert 'set server in [zone."example.test"]' in message
        world.settings(server=PRIMARY)
        await world.present(record())
        world.settings(server="nowhere.invalid.")
        assert 'nowhere.invalid. by [zone."example.test"], has no address' in await refusal(world)

    play(scenario)


@pytest.mark.parametrize("method", [ZoneMethod.LOCAL, ZoneMethod.HOOK, None])
def test_other_methods_are_refused(play: Play, method: ZoneMethod | None) -> None:
    async def scenario(world: World) -> None:
        if method:
            world.settings(method=method)
        else:
            del world.configuration.zones["example.test"]
        assert f"its method is {method or 'none'}" in await refusal(world)
        assert not world.primary.updates

    play(scenario)


def test_without_a_key_there_is_a_warning(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(world: World) -> None:
        await world.present(record())
        assert "Updates of zone example.test are not signed" in capsys.readouterr().err

    play(scenario)


def test_long_lasting_record(play: Play) -> None:
    async def scenario(world: World) -> None:
        value = "ca.example; accounturi=https://ca.example/" + "a" * 300
        lasting = record(type="dns-persist-01", value=value)
        await world.present(lasting)
        await world.wait(lasting)
        (text,) = world.example.values("_validation-persist.www.example.test.")
        assert text.count('"') == 4, "two strings"

    play(scenario)
