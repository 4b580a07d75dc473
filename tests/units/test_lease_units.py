# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes a port close again whatever dies: where a line was missing, port 80 stayed open or a unit looped."""

import pytest

from acmed import paths
from acmed.privd import challenge
from tests.units.test_core_units import last, read, words

LEASE, PROXIED_LEASE = "acme-http01-lease@.service", "acme-http01-proxied-lease@.service"
SOCKET, PROXIED_SOCKET = "acme-http01.socket", "acme-http01-proxied.socket"
RESPONDER = "acme-http01.service"
FIREWALLS = [template.replace("@80", "@") for template in challenge._FIREWALLS]
PINS = ("Requires", "Requisite", "BindsTo", "Wants", "Upholds")


@pytest.mark.parametrize(
    ("lease", "wanted"), [(LEASE, [SOCKET, *challenge._FIREWALLS]), (PROXIED_LEASE, [PROXIED_SOCKET])]
)
def test_lease(lease: str, wanted: list[str]) -> None:
    unit = read(lease)
    assert words(unit, "Wants") == [*wanted, RESPONDER]
    assert words(unit, "After") == ["acmed.service", *wanted]
    assert words(unit, "BindsTo") == ["acmed.service"]
    assert not unit["Requires"], "a firewall that fails would end the lease, and leave the socket open"
    assert last(unit, "CollectMode") == "inactive-or-failed"
    (command,) = unit["ExecStart"]
    assert command == "/usr/bin/sleep 900"


@pytest.mark.parametrize("name", [SOCKET, PROXIED_SOCKET, *FIREWALLS])
def test_nothing_stays_without_a_lease(name: str) -> None:
    unit = read(name)
    assert last(unit, "StopWhenUnneeded") == "yes"
    assert not unit["WantedBy"]


def test_responder_does_not_hold_its_sockets_open() -> None:
    unit = read(RESPONDER)
    assert words(unit, "PartOf") == [SOCKET, PROXIED_SOCKET]
    for pin in PINS:
        assert not unit[pin], pin
    assert last(unit, "StartLimitIntervalSec") == "0"
    assert int(last(unit, "RestartSec")) >= 1
    seen = set(words(unit, "BindReadOnlyPaths")) - set(words(unit, "ExecPaths"))
    assert seen == {str(paths.HTTP01_DIRECTORY)}


def test_sockets() -> None:
    assert read(SOCKET)["ListenStream"] == ["80"]
    assert read(PROXIED_SOCKET)["ListenStream"] == [str(paths.HTTP01_SOCKET)]
    assert last(read(PROXIED_SOCKET), "Service") == RESPONDER
    assert last(read(SOCKET), "FileDescriptorName") != last(read(PROXIED_SOCKET), "FileDescriptorName")


@pytest.mark.parametrize("name", FIREWALLS)
def test_firewall(name: str) -> None:
    unit = read(name)
    (start,), (stop,), (recover,) = unit["ExecStart"], unit["ExecStop"], unit["ExecStopPost"]
    assert stop == start.replace(" open ", " close ")
    assert recover == start.replace(" open ", " recover ")
    assert (last(unit, "Type"), last(unit, "RemainAfterExit")) == ("oneshot", "yes")
    assert int(last(unit, "TimeoutStartSec")) < challenge._START_TIMEOUT
    assert int(last(unit, "StartLimitIntervalSec")) == 0


def test_capabilities_of_the_firewall_units() -> None:
    capabilities = {name: words(read(name), "CapabilityBoundingSet") for name in FIREWALLS}
    assert capabilities == {
        "acme-firewall@.service": ["CAP_NET_ADMIN"],
        "acme-firewall-firewalld@.service": [],
        "acme-firewall-iptables@.service": ["CAP_NET_ADMIN", "CAP_NET_RAW"],
    }
