# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes a port close again whatever dies: where a line was missing, port 80 stayed open or a unit looped."""

import pytest

from acmed import paths
from acmed.config.limits import LONGEST
from acmed.privd.challenges import leases
from acmed.privd.challenges.leases import ALPN01, HTTP01, HTTP01_PROXIED, Way
from tests.units.test_core_units import last, read, words

# By their responders.
WAYS = {"acme-http01.service": (HTTP01, HTTP01_PROXIED), "acme-alpn01.service": (ALPN01,)}
RESPONDERS = {way: responder for responder, ways in WAYS.items() for way in ways}
TOKENS = {"acme-http01.service": paths.HTTP01_DIRECTORY, "acme-alpn01.service": paths.ALPN01_DIRECTORY}
FIREWALLS = [unit.replace("@80", "@") for unit in HTTP01.firewalls]
PINS = ("Requires", "Requisite", "BindsTo", "Wants", "Upholds")


def test_all_ways_are_known() -> None:
    assert set(RESPONDERS) == set(leases.WAYS)


@pytest.mark.parametrize("way", RESPONDERS, ids=lambda way: way.socket)
def test_lease(way: Way) -> None:
    unit = read(way.leases.replace("{}", ""))
    wanted = [way.socket, *way.firewalls]
    assert words(unit, "Wants") == [*wanted, RESPONDERS[way]]
    assert words(unit, "After") == ["acmed.service", *wanted]
    assert words(unit, "BindsTo") == ["acmed.service"]
    assert not unit["Requires"], "a firewall that fails would end the lease, and leave the socket open"
    assert last(unit, "CollectMode") == "inactive-or-failed"
    (command,) = unit["ExecStart"]
    assert command == "/usr/bin/sleep 900"
    assert LONGEST["authorization"] <= 900 - 60, "a CA that is still waited for finds the port closed"


@pytest.mark.parametrize("name", [*(way.socket for way in RESPONDERS), *FIREWALLS])
def test_nothing_stays_without_a_lease(name: str) -> None:
    unit = read(name)
    assert last(unit, "StopWhenUnneeded") == "yes"
    assert not unit["WantedBy"]


@pytest.mark.parametrize("responder", WAYS)
def test_responder_does_not_hold_its_sockets_open(responder: str) -> None:
    unit = read(responder)
    assert words(unit, "PartOf") == [way.socket for way in WAYS[responder]]
    for pin in PINS:
        assert not unit[pin], pin
    assert last(unit, "StartLimitIntervalSec") == "0"
    assert int(last(unit, "RestartSec")) >= 1
    seen = set(words(unit, "BindReadOnlyPaths")) - set(words(unit, "ExecPaths"))
    assert seen == {str(TOKENS[responder])}
    assert last(unit, "SuccessExitStatus") == "64", "where the port is taken it ends at once, for good"


@pytest.mark.parametrize("way", RESPONDERS, ids=lambda way: way.socket)
def test_sockets(way: Way) -> None:
    unit = read(way.socket)
    assert unit["ListenStream"] == [str(way.port or paths.HTTP01_SOCKET)]
    assert (last(unit, "Service") or way.socket.replace(".socket", ".service")) == RESPONDERS[way]
    assert last(unit, "BindIPv6Only") == ("both" if way.port else "")


def test_descriptors_have_names_of_their_own() -> None:
    names = [last(read(way.socket), "FileDescriptorName") for way in RESPONDERS]
    assert len(set(names)) == len(names)


def test_no_port_is_opened_that_no_socket_has() -> None:
    for way in RESPONDERS:
        assert all(unit.endswith(f"@{way.port}.service") for unit in way.firewalls)
        assert len(way.firewalls) == (3 if way.port else 0)


@pytest.mark.parametrize("name", FIREWALLS)
def test_firewall(name: str) -> None:
    unit = read(name)
    (start,), (stop,), (recover,) = unit["ExecStart"], unit["ExecStop"], unit["ExecStopPost"]
    assert start.endswith(" open %i")
    assert stop == start.replace(" open ", " close ")
    assert recover == start.replace(" open ", " recover ")
    assert (last(unit, "Type"), last(unit, "RemainAfterExit")) == ("oneshot", "yes")
    assert int(last(unit, "TimeoutStartSec")) < leases._START_TIMEOUT
    assert int(last(unit, "StartLimitIntervalSec")) == 0


def test_capabilities_of_the_firewall_units() -> None:
    capabilities = {name: words(read(name), "CapabilityBoundingSet") for name in FIREWALLS}
    assert capabilities == {
        "acme-firewall@.service": ["CAP_NET_ADMIN"],
        "acme-firewall-firewalld@.service": [],
        "acme-firewall-iptables@.service": ["CAP_NET_ADMIN", "CAP_NET_RAW"],
    }
