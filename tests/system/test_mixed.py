# SPDX-License-Identifier: LGPL-2.1-or-later
"""One order with names that are validated in different ways: by the configuration, or as acmed chooses."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.machine.knot import Knot
from tests.machine.zones import TsigKey, Zone
from tests.system.authority import account as account_at
from tests.system.authority import another
from tests.system.busctl import monitor
from tests.system.nameservers import PORT, RESOLVER_OF_CA, Site, Table, site

BIND, KNOT = "127.0.0.11", "127.0.0.21"
KEY = TsigKey("mixed")
HOSTS = "@ A 127.0.0.1\n* A 127.0.0.1"
OF_BIND, OF_KNOT = (("ns1", (BIND,)),), (("ns2", (KNOT,)),)

# acmed has no way into the zone of host.test.
AT_BIND = [
    Zone("one.test", OF_BIND, records=HOSTS, updates="allow-update { key mixed; };"),
    Zone("host.test", OF_BIND, records=f"{HOSTS}\naway A 192.0.2.1"),
]
AT_KNOT = [Zone("two.test", OF_KNOT, records=HOSTS, updates="key: mixed")]
FORWARD = {"one.test": BIND, "host.test": BIND, "two.test": KNOT}
CONFIGURED: dict[str, Table] = {"one.test": {"key": "mixed"}, "two.test": {"key": "mixed"}}

BY_CONFIGURATION = {
    "*.one.test": "dns-01",
    "one.test": "dns-account-01",
    "a.b.one.test": "http-01",
    "two.test": "dns-01",
    "*.w.two.test": "dns-persist-01",
    "h.host.test": "http-01",
    "t.host.test": "tls-alpn-01",
    "127.0.0.1": "tls-alpn-01",
    "::1": "http-01",
}
BY_ITSELF = {
    "c.one.test": "dns-01",
    "*.c.one.test": "dns-01",
    "c.two.test": "dns-01",
    "c.host.test": "http-01",
    "127.0.0.1": "http-01",
}
BY_RANK = {
    "r.one.test": "http-01",  # [challenges] before challenge
    "s.one.test": "tls-alpn-01",  # challenge before what acmed would choose
    "s.host.test": "tls-alpn-01",
}
OLD = "mixed-old"


@dataclass(frozen=True)
class Rig:
    """The site, and what became of an order's names."""

    site: Site

    @property
    def machine(self) -> Machine:
        return self.site.machine

    def validated(self, name: str, names: Mapping[str, str], **settings: Any) -> dict[str, str]:
        """Has names ordered; how each was validated, as the job told."""
        with monitor(self.machine) as seen:
            self.site.order(name, list(names), **settings)
            jobs = [signal for signal in seen.signals if signal.member == "PropertiesChanged"]
        rows = [signal.body[1]["Challenges"] for signal in jobs if "Challenges" in signal.body[1]]
        return {identifier: kind for told in rows for identifier, kind, status in told if status == "valid"}

    def assert_names(self, name: str, names: Mapping[str, str]) -> None:
        """The certificate has these, with addresses as openssl writes them."""
        written = {"::1": "0:0:0:0:0:0:0:1"}
        self.site.installed(name).check(*(written.get(one, one) for one in names))


@pytest.fixture(scope="module")
def servers(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(Bind(machine, "ns1", [BIND], AT_BIND, [KEY]))
        stack.enter_context(Knot(machine, "ns2", [KNOT], AT_KNOT, [KEY]))
        own = stack.enter_context(site(machine, "mixed", FORWARD, {"mixed": KEY.bind}))
        yield Rig(own)


@pytest.fixture
def rig(servers: Rig) -> Iterator[Rig]:
    servers.site.configure(CONFIGURED)
    yield servers
    servers.site.assert_nothing_is_left(BIND, "one.test", "host.test")
    servers.site.assert_nothing_is_left(KNOT, "two.test")


def test_as_configured_for_each_name(rig: Rig) -> None:
    """Two zones at two servers, three ways over DNS, both ports, an address of each family."""
    assert rig.validated("each", BY_CONFIGURATION, challenges=BY_CONFIGURATION) == BY_CONFIGURATION
    rig.assert_names("each", BY_CONFIGURATION)


def test_as_acmed_chooses(rig: Rig) -> None:
    """By DNS what is in a zone that it can change, and wildcards; over HTTP all else."""
    assert rig.validated("chosen", BY_ITSELF) == BY_ITSELF
    rig.assert_names("chosen", BY_ITSELF)


def test_a_name_before_its_certificate_before_the_choice(rig: Rig) -> None:
    kinds = rig.validated("rank", BY_RANK, challenge="tls-alpn-01", challenges={"r.one.test": "http-01"})
    assert kinds == BY_RANK
    rig.assert_names("rank", BY_RANK)


def test_one_that_fails_takes_all_back(rig: Rig) -> None:
    """By then the others are presented, in each way."""
    names = {"f.one.test": "dns-01", "f.two.test": "dns-01", "away.host.test": "http-01", "127.0.0.1": "tls-alpn-01"}
    said = rig.site.order("one-fails", list(names), code=1, challenges=names)
    told, _, failed = said.partition("failed: ")
    assert "away.host.test: 192.0.2.1 is not an address of this host" in told
    assert failed.startswith("away.host.test: ")
    assert "f.one.test" not in failed
    assert "org.acmed1.AcmeError." in failed


def test_zone_of_one_name_that_refuses(rig: Rig) -> None:
    """The CA hears of none of them."""
    rig.site.configure(CONFIGURED | {"two.test": {}})
    said = rig.site.order("refuses", ["g.one.test", "g.two.test", "g.host.test"], code=1)
    assert 'set key in [zone."two.test"]' in said
    assert "g.one.test" not in said.rpartition("failed:")[2]


def test_none_of_them_may_be_validated_here(rig: Rig) -> None:
    said = rig.site.order("none", ["n.one.test", "n.host.test"], code=1, challenge="none")
    for name in ("n.one.test", "n.host.test"):
        assert f'{name} has no valid authorization at the CA, and challenge = "none" forbids to get one here' in said
        assert f"'acmectl authorize {name}' gets one" in said


def test_what_the_ca_does_not_offer(rig: Rig) -> None:
    """A Pebble that knows three ways only: the error has each name, the wish and the offer."""
    settings = {"program": "/opt/pebble-2.4/usr/bin/pebble", "asks": f"{RESOLVER_OF_CA}:53", "profiles": {}}
    names = {"o.one.test": "dns-account-01", "*.o.two.test": "dns-persist-01", "o.host.test": "tls-alpn-01"}
    with (
        another(rig.machine, OLD, PORT + 10, **settings) as old,
        account_at(rig.machine, OLD, old.directory),
    ):
        said = rig.site.order("offer", list(names), code=1, account=OLD, challenges=names)
        rig.site.order("old", ["o.one.test", "*.o.two.test", "o.host.test"], account=OLD)
        rig.site.ctl.run("forget", "mixed-old")
    assert "o.one.test is to be validated by dns-account-01, as configured, and the CA offers " in said
    assert "*.o.two.test is to be validated by dns-persist-01, as configured, and the CA offers dns-01" in said
    assert "o.host.test is to be" not in said
