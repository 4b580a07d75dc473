# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL of each process in each step in which an order by dns-01 or tls-alpn-01 is another one than by http-01. The
order finishes all the same: one order at the CA, the record removed, the port closed, nothing left.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.machine.knot import Knot
from tests.machine.zones import TsigKey, Zone
from tests.system.authority import account as account_at
from tests.system.gate.gate import gate
from tests.system.killing import Victims, leftovers
from tests.system.nameservers import PORT, Site, site

GATED = "sigkill-gated"
PRIMARY, SECONDARY = "127.0.0.11", "127.0.0.21"
KEY = TsigKey("sigkill")
ONE, BOTH = (("ns1", (PRIMARY,)),), (("ns1", (PRIMARY,)), ("ns2", (SECONDARY,)))
BY_KEY = "allow-update { key sigkill; };"
ZONES = [
    Zone("kill.test", ONE, updates=BY_KEY),
    Zone("lag.test", BOTH, updates=BY_KEY),
    Zone("hook.test", ONE, updates="allow-update { 127.0.0.0/8; };"),
    Zone("host.test", ONE, records="* A 127.0.0.1"),
]
HOLD_HOOK, HOOK = "/run/gate/hold-hook", "/etc/acmed/hooks.d/sigkill"
HOOK_SCRIPT = f"""\
#!/bin/sh
case $1 in set) change=add ttl=1 ;; clear) change=delete ttl= ;; *) exit 2 ;; esac
while test $1 = set -a -e {HOLD_HOOK}; do sleep 0.05; done
printf 'server {PRIMARY}\\nzone %s\\nupdate %s %s. %s TXT "%s"\\nsend\\n' \\
    "$ACMED_ZONE" "$change" "$ACMED_NAME" "$ttl" "$ACMED_VALUE" | nsupdate
"""


@dataclass(frozen=True)
class Point:
    """Where an order is held. zone: that of its name. step: what the job says there. phase and path: for the gate."""

    name: str
    zone: str
    step: str
    phase: str = ""
    path: str = ""


PREFLIGHT = Point("preflight", "kill.test", "authorize")
FIND = Point("find", "kill.test", "challenge", "answer", "/order-plz")
HOOKED = Point("hook", "hook.test", "challenge")
PROPAGATION = Point("propagation", "lag.test", "challenge")
CHALLENGE = Point("challenge", "kill.test", "challenge", "request", "/chalZ/")
VALIDATION = Point("validation", "kill.test", "challenge", "answer", "/chalZ/")
FINALIZE = Point("finalize", "kill.test", "finalize", "request", "/finalize-order/")
REMOVAL = Point("removal", "kill.test", "install", "request", "/chalZ/")
ALPN_CHALLENGE = Point("alpn-challenge", "host.test", "challenge", "request", "/chalZ/")
ALPN_VALIDATION = Point("alpn-validation", "host.test", "challenge", "request", "/chalZ/")
ALPN_FINALIZE = Point("alpn-finalize", "host.test", "finalize", "request", "/finalize-order/")

FOUR = ("acmed", "acme-privd", "acme-clientd", "acme-dnsd")
TABLE = [
    *[(PREFLIGHT, victim) for victim in ("acmed", "acme-dnsd")],
    *[(FIND, victim) for victim in ("acmed", "acme-dnsd")],
    *[(HOOKED, victim) for victim in ("acmed", "acme-privd")],
    *[(PROPAGATION, victim) for victim in FOUR],
    *[(CHALLENGE, victim) for victim in FOUR],
    *[(VALIDATION, victim) for victim in ("acmed", "acme-dnsd")],
    *[(FINALIZE, victim) for victim in ("acme-clientd", "acme-dnsd")],
    *[(REMOVAL, victim) for victim in ("acmed", "acme-dnsd")],
    *[(ALPN_CHALLENGE, victim) for victim in ("acmed", "acme-privd", "acme-clientd", "acme-alpn01")],
    *[(ALPN_VALIDATION, victim) for victim in ("acme-clientd", "acme-alpn01")],
    (ALPN_FINALIZE, "acmed"),
]


@dataclass
class Rig(Victims):
    """Holds an order for a name that is validated by DNS or over TLS."""

    site: Site
    knot: Knot

    def hold(self, point: Point) -> None:
        """Arrange before the order begins that it will stop there."""
        if point.path:
            self.gate.hold(point.phase, point.path)
        elif point is PREFLIGHT:
            self.freeze("acme-dnsd")
        elif point is HOOKED:
            self.machine.write(HOLD_HOOK, "")

    def wait_held(self, point: Point, name: str) -> None:
        """Returns when the order is there, and cannot get any further."""
        if point.path:
            self.gate.wait_held()
        if point is FIND:
            self.freeze("acme-dnsd")
            self.gate.release()
        if point is HOOKED:
            running = ["pgrep", "-f", HOOK]
            self.machine.wait_until("the hook", lambda: self.machine.run(running, check=False).stdout)
        if point is PROPAGATION:
            self.site.wait_detail(f"ns2.lag.test ({SECONDARY}) does not have the value")
        if point is REMOVAL:  # when the CA has validated, and acmed is about to have the record removed
            self.signal("STOP", "acme-dnsd")
            self.gate.release()
        if point is ALPN_VALIDATION:  # the CA is in the responder's queue
            self.stall("acme-alpn01", 443)
        if point in (CHALLENGE, VALIDATION, PROPAGATION, REMOVAL):
            assert len(self.site.texts(f"_acme-challenge.{name}", PRIMARY)) == 1
        self.machine.wait_until(f"the job to say {point.step}", lambda: self.step() == point.step)

    def release(self, point: Point, order: "subprocess.Popen[str]") -> str:
        """What acmectl says until the order has ended."""
        self.gate.release()
        self.machine.run(["rm", "-f", HOLD_HOOK])
        self.thaw("acme-dnsd", "acme-alpn01")
        while point is PROPAGATION and order.poll() is None:  # who begins again presents again
            self.knot.control("zone-refresh", "lag.test")
        words, _ = order.communicate(timeout=60)
        return words


@pytest.fixture(scope="module")
def rig(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    machine.write(HOOK, HOOK_SCRIPT, 0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(machine.run, ["rm", HOOK])
        stack.enter_context(Bind(machine, "ns1", [PRIMARY], ZONES, [KEY]))
        knot = stack.enter_context(Knot(machine, "ns2", [SECONDARY], [Zone("lag.test", BOTH, primary=PRIMARY)]))
        forward = {zone.name: PRIMARY for zone in ZONES}
        own = stack.enter_context(site(machine, "sigkill-dns", forward, {"sigkill": KEY.bind}))
        keyed = {"key": "sigkill"}
        own.configure({"kill.test": keyed, "lag.test": keyed, "hook.test": {"method": "hook", "hook": "sigkill"}})
        passed = stack.enter_context(gate(machine, PORT))
        stack.enter_context(account_at(machine, GATED, passed.directory))
        machine.write("/run/gate/root.pem", own.pebble.root_pem())
        machine.run(["systemctl", "reset-failed"])
        yield Rig(machine, passed, leftovers(machine), own, knot)


@pytest.mark.parametrize(("point", "victim"), TABLE, ids=[f"{point.name}-{victim}" for point, victim in TABLE])
def test_killed(rig: Rig, point: Point, victim: str) -> None:
    machine, name = rig.machine, f"{point.name}-{victim}.{point.zone}"
    machine.wait_until("the test before to be over", lambda: not rig.step())
    rig.hold(point)
    challenge = "tls-alpn-01" if point.zone == "host.test" else "dns-01"
    order = machine.popen(["acmectl", "order", name, "--account", GATED, "--challenge", challenge])
    try:
        rig.wait_held(point, name)
        rig.kill(victim)
        if victim == "acmed" and point in (CHALLENGE, ALPN_CHALLENGE):
            # What was presented is taken back first. The CA hears of the challenge when it is presented again.
            rig.gate.wait_held(2)
    finally:
        words = rig.release(point, order)
    assert order.returncode == 0, words
    assert "issued" in words
    assert ("acmed was stopped" in words) == (victim == "acmed")
    assert rig.gate.orders(name) == 1, words
    rig.check_whole(name)
    assert rig.site.texts(f"_acme-challenge.{name}", PRIMARY) == set()
    machine.run(["acmectl", "forget", name])


def test_nothing_is_left_in_any_zone(rig: Rig) -> None:
    """Last, with all that was presented for any of the orders."""
    rig.site.assert_nothing_is_left(PRIMARY, *(zone.name for zone in ZONES))
    for daemon in (*FOUR, "acme-alpn01"):
        assert "Traceback" not in rig.machine.journal(f"{daemon}.service")
    failed = rig.machine.run(["systemctl", "list-units", "--plain", "--no-legend", "--state=failed", "acme*"]).stdout
    assert failed == ""
