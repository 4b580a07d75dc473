# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates by DNS: a primary (BIND) that takes updates, a secondary (Knot) that the CA may ask as well."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.machine.knot import Knot
from tests.machine.zones import TsigKey, Zone
from tests.system.acmectl import running
from tests.system.nameservers import OTHERS, Site, Table, site

PRIMARY, SECONDARY = "127.0.0.11", "127.0.0.21"
KEY, STRANGER = TsigKey("dns01"), TsigKey("stranger")
BOTH = (("ns1", (PRIMARY,)), ("ns2", (SECONDARY,)))
ONE = BOTH[:1]
BY_KEY = "allow-update { key dns01; };"

# keyed.test tells its secondary of each change. lag.test does not, and it is the secondary that the CA asks.
# manual.test is not in acmed's configuration.
ZONES = [
    Zone(
        "keyed.test",
        BOTH,
        records=f'_acme-challenge TXT "{OTHERS}"\n_acme-challenge.alias CNAME over.there.open.test.',
        updates=BY_KEY,
        notify=(SECONDARY,),
    ),
    Zone("open.test", ONE, updates="allow-update { 127.0.0.0/8; };"),
    Zone("lag.test", BOTH, updates=BY_KEY),
    Zone(
        "manual.test", ONE, records="_acme-challenge.c CNAME c.keyed.test.", updates="allow-update { key stranger; };"
    ),
]
SECONDARY_ZONES = [Zone("keyed.test", BOTH, primary=PRIMARY), Zone("lag.test", BOTH, primary=PRIMARY)]
FORWARD = {"keyed.test": PRIMARY, "open.test": PRIMARY, "lag.test": SECONDARY, "manual.test": PRIMARY}
CREDENTIALS = {"ours": KEY.bind, "wrong": KEY.bind.replace(KEY.secret, STRANGER.secret), "stranger": STRANGER.bind}
CONFIGURED: dict[str, Table] = {"keyed.test": {"key": "ours"}, "open.test": {}, "lag.test": {"key": "ours"}}
LAGS = f"ns2.lag.test ({SECONDARY}) does not have the value of _acme-challenge.{{}}.lag.test yet"


@dataclass(frozen=True)
class Rig:
    """The site, with its secondary."""

    site: Site
    knot: Knot

    @property
    def machine(self) -> Machine:
        return self.site.machine

    def said_by_dnsd(self, certificate: str) -> str:
        """Its lines in the journal about a certificate."""
        fields = [f"ACME_CERTIFICATE=dns01-{certificate}", "_SYSTEMD_UNIT=acme-dnsd.service"]
        return self.machine.run(["journalctl", "--quiet", "--output=cat", *fields]).stdout


@pytest.fixture(scope="module")
def servers(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(Bind(machine, "ns1", [PRIMARY], ZONES, [KEY, STRANGER]))
        knot = stack.enter_context(Knot(machine, "ns2", [SECONDARY], SECONDARY_ZONES))
        yield Rig(stack.enter_context(site(machine, "dns01", FORWARD, CREDENTIALS)), knot)


@pytest.fixture
def rig(servers: Rig) -> Iterator[Rig]:
    """Nothing but the values of others is there after each test, whatever came of it."""
    servers.site.configure(CONFIGURED)
    yield servers
    servers.site.assert_nothing_is_left(PRIMARY, *FORWARD)
    assert servers.site.texts("_acme-challenge.keyed.test", PRIMARY) == {OTHERS}


def test_wildcard_and_the_name_itself(rig: Rig) -> None:
    """Two values at one name, which both servers must have; what is there already stays."""
    rig.site.order("both", ["keyed.test", "*.keyed.test"])
    rig.site.installed("both").check("keyed.test", "*.keyed.test")
    assert f"Added 2 TXT values in zone keyed.test at ns1.keyed.test ({PRIMARY})" in rig.said_by_dnsd("both")
    rig.machine.wait_until(
        "the secondary to follow", lambda: rig.site.texts("_acme-challenge.keyed.test", SECONDARY) == {OTHERS}
    )


def test_secondary_that_lags_is_named_and_waited_for(rig: Rig) -> None:
    """The CA asks the secondary: it hears of the challenge when that has the value, and not before."""
    name = rig.site.certificate("lag", ["a.lag.test"])
    with running(rig.machine, "order", "--name", name) as order:
        job = rig.site.wait_detail(LAGS.format("a"))
        assert job["Step"] == "challenge"
        assert job["Challenges"] == [["a.lag.test", "dns-01", "pending"]]
        assert job["Deadline"] > time.time() * 1_000_000
        assert PRIMARY not in job["Detail"]
        assert LAGS.format("a") in rig.site.ctl.text("jobs")
        rig.knot.control("zone-refresh", "lag.test")
        code, said = order.end()
    assert code == 0, said
    assert LAGS.format("a") in said
    rig.site.installed("lag").check("a.lag.test")


def test_cancelled_while_it_waits(rig: Rig) -> None:
    name = rig.site.certificate("canceled", ["b.lag.test"])
    with running(rig.machine, "order", "--name", name) as order:
        job = rig.site.wait_detail(LAGS.format("b"))
        assert len(rig.site.texts("_acme-challenge.b.lag.test", PRIMARY)) == 1
        rig.site.ctl.run("cancel", str(job["Id"]))
        code, said = order.end()
    assert code == 1
    assert "was canceled" in said


def test_validation_that_fails(rig: Rig) -> None:
    """The CA asks a server that does not have the value, as nobody waited for it."""
    rig.site.configure(CONFIGURED | {"lag.test": {"key": "ours", "propagation": "skip"}})
    said = rig.site.order("refused", ["c.lag.test"], code=1)
    assert "failed: c.lag.test: " in said
    assert "DNS challenge" in said
    assert "org.acmed1.AcmeError.unauthorized" in said
    assert "over DNS, at every name server of the zone" in said


def test_dead_secondary(rig: Rig) -> None:
    """Told within the account's deadline; or not asked, where the configuration says so."""
    rig.knot.stop()
    try:
        rig.site.configure(CONFIGURED, propagation=2)
        said = rig.site.order("dead", ["dead.keyed.test"], code=1)
        assert "_acme-challenge.dead.keyed.test is not seen by all name servers: after 2 s, " in said
        assert f"ns2.keyed.test ({SECONDARY}) refuses connections" in said
        assert PRIMARY not in said
        rig.site.configure(CONFIGURED | {"keyed.test": {"key": "ours", "propagation": "skip"}})
        rig.site.order("dead", ["dead.keyed.test"])
    finally:
        rig.knot.start()
    rig.site.installed("dead").check("dead.keyed.test")


def test_fixed_wait(rig: Rig) -> None:
    rig.site.configure(CONFIGURED | {"keyed.test": {"key": "ours", "propagation": 3}})
    name = rig.site.certificate("fixed", ["fixed.keyed.test"])
    with running(rig.machine, "order", "--name", name) as order:
        began = time.monotonic()
        job = rig.site.wait_detail("waiting for 3 s, as the configuration says")
        assert job["Challenges"] == [["fixed.keyed.test", "dns-01", "pending"]]
        code, said = order.end()
    assert code == 0, said
    assert time.monotonic() - began >= 3
    rig.site.configure(CONFIGURED | {"keyed.test": {"key": "ours", "propagation": 30}}, propagation=2)
    said = rig.site.order("fixed", ["fixed.keyed.test", "www.keyed.test"], code=1)
    assert "propagation = 30 of zone keyed.test is longer than the deadline, 2 s" in said


def test_updates_allowed_by_address(rig: Rig) -> None:
    rig.site.order("open", ["www.open.test", "*.www.open.test"])
    rig.site.installed("open").check("www.open.test", "*.www.open.test")
    assert "Updates of zone open.test are not signed" in rig.said_by_dnsd("open")


def test_alias_in_another_zone(rig: Rig) -> None:
    """From a zone with a key into one without, and from one that acmed cannot change into one that it can."""
    rig.site.order("alias", ["alias.keyed.test", "*.alias.keyed.test", "c.manual.test"], challenge="dns-01")
    rig.site.installed("alias").check("alias.keyed.test", "*.alias.keyed.test", "c.manual.test")
    said = rig.said_by_dnsd("alias")
    assert "Added 2 TXT values in zone open.test" in said
    assert "over.there.open.test" in said
    assert "Added 1 TXT values in zone keyed.test" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"key": "wrong"}, "answers BADSIG; its secret of the key dns01. (hmac-sha256) is another one: seal the one"),
        ({"key": "stranger"}, "does not let the key stranger. do that"),
        ({"key": "missing"}, "systemd-creds encrypt --name=tsig_missing KEYFILE /etc/credstore.encrypted/acmed.dns/"),
        ({}, 'it does not allow this host\'s address: set key in [zone."keyed.test"]'),
        ({"key": "ours", "server": "127.0.0.98"}, "127.0.0.98 refuses connections: no name server there"),
    ],
    ids=["wrong-secret", "not-allowed", "missing", "unsigned", "no-server"],
)
def test_updates_that_are_refused(rig: Rig, settings: Table, said: str) -> None:
    rig.site.configure(CONFIGURED | {"keyed.test": settings})
    assert said in rig.site.order("refused-update", ["refused.keyed.test"], code=1)


def test_zone_that_nothing_can_change(rig: Rig) -> None:
    said = rig.site.order("manual", ["*.manual.test"], code=1)
    assert "no [zone] of the configuration is for the zone manual.test, which _acme-challenge.manual.test is in" in said


def test_dns_account_01(rig: Rig) -> None:
    name = rig.site.certificate("account", ["d.keyed.test", "*.d.keyed.test"], challenge="dns-account-01")
    rig.site.ctl.run("order", "--name", name)
    rig.site.installed("account").check("d.keyed.test", "*.d.keyed.test")
    assert "._acme-challenge.d.keyed.test" in rig.said_by_dnsd("account")


def test_dns_persist_01_where_acmed_can_set_it(rig: Rig) -> None:
    """One record for a name and its wildcard; it is as was printed, is set once, and stays."""
    names = ["p.keyed.test", "*.p.keyed.test"]
    name = rig.site.certificate("persist", names, challenge="dns-persist-01")
    (printed,) = rig.site.ctl.text("dns", "show", name).splitlines()
    assert printed.startswith("_validation-persist.p.keyed.test. 60 IN TXT ")
    assert printed.endswith('; policy=wildcard"')
    rig.site.ctl.run("order", "--name", name)
    rig.site.installed("persist").check(*names)
    value = printed.split('"')[1]
    for server in (PRIMARY, SECONDARY):
        assert rig.site.texts("_validation-persist.p.keyed.test", server) == {value}
    rig.site.ctl.run("renew", "--force", name)
    assert rig.said_by_dnsd("persist").count("Added 1 TXT values in zone keyed.test") == 1


def test_dns_persist_01_where_somebody_else_sets_it(rig: Rig) -> None:
    """Looked for before anything is ordered; then published as printed."""
    name = rig.site.certificate("by-hand", ["manual.test"], challenge="dns-persist-01")
    printed = rig.site.ctl.text("dns", "show", "--nsupdate", name)
    value = printed.split('"')[1]
    said = rig.site.ctl.error("order", "--name", name, code=1)
    assert f'_validation-persist.manual.test TXT "{value}" is to be set' in said
    assert "or set it by hand, once and for all" in said
    assert "org.acmed1.Error.PreflightFailed" in said
    rig.machine.write("/run/dns01.key", STRANGER.bind)
    script = f"server {PRIMARY}\nzone manual.test\n{printed}"
    rig.machine.run(["nsupdate", "-k", "/run/dns01.key"], input=script)
    rig.site.ctl.run("order", "--name", name)
    rig.site.installed("by-hand").check("manual.test")
    assert rig.site.texts("_validation-persist.manual.test", PRIMARY) == {value}
