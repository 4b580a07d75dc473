# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL of each process in each step of an order, with the order held in that step: it finishes all the same.

Something stands still at each point (the CA behind a gate, a daemon that is stopped, a reload that waits), so the order
cannot leave the step before the kill, and the one that is killed is at work, not on the way out.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.gate.gate import gate
from tests.system.killing import ALWAYS, Victims, leftovers
from tests.system.lease import wait_closed

ACCOUNT = "sigkill"
SERVICE = "sigkill"

# Its reload waits for as long as a test wants.
UNIT = """
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reload >>/run/gate/reloads; while test -e /run/gate/hold-reload; do sleep 0.02; done'
"""
CONFIGURATION = f"""
[service.{SERVICE}]
units = ["sigkill.service"]
"""

# A firewall that drops what it does not know, so that the port has to be opened there.
FIREWALL = """
table inet sigkill {
    chain input { type filter hook input priority 0; policy drop; iif lo accept; ct state established accept; }
}
"""


@dataclass(frozen=True)
class Point:
    """Where an order is held. step: what the job says there. phase and path: what the gate stops, if it is the gate."""

    name: str
    step: str
    phase: str = ""
    path: str = ""


REQUEST = Point("request", "order")
NEW_ORDER = Point("new-order", "authorize", "request", "/order-plz")
NEW_ORDER_ANSWER = Point("new-order-answer", "authorize", "answer", "/order-plz")
AUTHORIZATION = Point("authorization", "authorize", "request", "/authZ/")
CHALLENGE = Point("challenge", "challenge", "request", "/chalZ/")
VALIDATION = Point("validation", "challenge", "request", "/chalZ/")
FINALIZE = Point("finalize", "finalize", "request", "/finalize-order/")
FINALIZE_ANSWER = Point("finalize-answer", "finalize", "answer", "/finalize-order/")
DOWNLOAD = Point("download", "download", "request", "/certZ/")
INSTALL = Point("install", "install")
RELOAD = Point("reload", "reload")

TABLE = [
    *[(REQUEST, victim) for victim in ALWAYS],
    *[(NEW_ORDER, victim) for victim in ("acmed", "acme-clientd")],
    *[(NEW_ORDER_ANSWER, victim) for victim in ("acmed", "acme-clientd")],
    *[(AUTHORIZATION, victim) for victim in ALWAYS],
    *[(CHALLENGE, victim) for victim in (*ALWAYS, "acme-http01")],
    *[(VALIDATION, victim) for victim in ("acme-clientd", "acme-http01")],
    *[(FINALIZE, victim) for victim in ALWAYS],
    *[(FINALIZE_ANSWER, victim) for victim in ("acmed", "acme-clientd")],
    *[(DOWNLOAD, victim) for victim in ALWAYS],
    *[(INSTALL, victim) for victim in (*ALWAYS, "acme-verify")],
    *[(RELOAD, victim) for victim in ALWAYS],
]


class Rig(Victims):
    """Holds an order for a name that is validated by http-01."""

    def hold(self, point: Point) -> None:
        """Arrange before the order begins that it will stop there."""
        if point.path:
            self.gate.hold(point.phase, point.path)
        elif point is REQUEST:
            self.freeze("acme-keyd")
        elif point is INSTALL:
            self.freeze("acme-verify")
        elif point is RELOAD:
            self.machine.write("/run/gate/hold-reload", "")

    def wait_held(self, point: Point, name: str) -> None:
        """Returns when the order is there, and cannot get any further."""
        if point.path:
            self.gate.wait_held()
        if point is REQUEST:  # acme-privd has made it, and waits for acme-keyd to take the permit
            self.wait_file(f"/var/lib/acme-privd/pending/{name}/request.json")
        if point is RELOAD:
            self.wait_file("/run/gate/reloads")
        if point is VALIDATION:  # the CA is in the responder's queue
            self.stall("acme-http01", 80)
        self.machine.wait_until(f"the job to say {point.step}", lambda: self.step() == point.step)

    def release(self, point: Point) -> None:
        self.gate.release()
        self.machine.run(["rm", "-f", "/run/gate/hold-reload"])
        self.thaw("acme-keyd", "acme-verify", "acme-http01")


@pytest.fixture(scope="module")
def rig(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    machine.write("/etc/systemd/system/sigkill.service", UNIT)
    machine.write("/etc/acmed/acmed.toml.d/sigkill.toml", CONFIGURATION)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "reset-failed"])
    machine.run(["systemctl", "start", "sigkill.service"])
    machine.run(["nft", "-f", "-"], input=FIREWALL)
    with gate(machine) as passed:
        machine.write("/run/gate/root.pem", pebble.root_pem())
        options = ["--directory", passed.directory, "--ca-file", pebble.ca_file, "--contact", "a@example.com"]
        machine.run(["acmectl", "account", "add", ACCOUNT, *options, "--agree-tos"])
        yield Rig(machine, passed, leftovers(machine))
    machine.run(["nft", "delete", "table", "inet", "sigkill"])
    machine.run(["systemctl", "stop", "sigkill.service"])
    machine.run(["rm", "/etc/systemd/system/sigkill.service", "/etc/acmed/acmed.toml.d/sigkill.toml"])
    machine.run(["rm", f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml", f"/etc/acmed/ca/{ACCOUNT}.pem"])
    machine.run(["rm", f"/etc/credstore.encrypted/acmed.accounts/{ACCOUNT}"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-keyd.service"])


@pytest.mark.parametrize(("point", "victim"), TABLE, ids=[f"{point.name}-{victim}" for point, victim in TABLE])
def test_killed(rig: Rig, point: Point, victim: str) -> None:
    machine, name = rig.machine, f"sigkill-{point.name}-{victim}.example.com"
    machine.wait_until("the test before to be over", lambda: not rig.step())
    machine.run(["rm", "-f", "/run/gate/reloads"])
    rig.hold(point)
    order = machine.popen(["acmectl", "order", name, "--account", ACCOUNT, "--service", SERVICE])
    try:
        rig.wait_held(point, name)
        rig.kill(victim)
        if (point, victim) == (CHALLENGE, "acmed"):
            # The port was closed with acmed. The CA hears of the challenge when the job is there again.
            rig.gate.wait_held(2)
    finally:
        rig.release(point)
        words, _ = order.communicate(timeout=60)
    assert order.returncode == 0, words
    assert "issued" in words
    assert ("acmed was stopped" in words) == (victim == "acmed")
    assert rig.gate.orders(name) == 1, words
    rig.check_whole(name)
    assert machine.read("/run/gate/reloads").split()
    machine.run(["acmectl", "forget", name])


def test_next_run_finishes_what_was_killed_as_a_whole(rig: Rig) -> None:
    """As after a power failure: nobody waits, nothing runs, and the timer's unit comes by."""
    machine, name = rig.machine, "sigkill-all.example.com"
    rig.hold(FINALIZE)
    order = machine.popen(["acmectl", "order", name, "--account", ACCOUNT])
    rig.wait_held(FINALIZE, name)
    os.killpg(order.pid, signal.SIGKILL)
    order.communicate()
    machine.run(["systemctl", "kill", "--signal=KILL", *(f"{victim}.service" for victim in ALWAYS)])
    machine.run(["systemctl", "stop", *(f"{victim}.service" for victim in ALWAYS)])
    wait_closed(machine)
    assert machine.run(["sh", "-c", f"ls -A /var/lib/acme | grep -F {name}"], check=False).stdout == ""
    rig.release(FINALIZE)
    machine.run(["systemctl", "start", "acme-renew.service"])
    assert rig.gate.orders(name) == 1
    rig.check_whole(name)
    assert machine.run(["acmectl", "status", name]).returncode == 0
    machine.run(["acmectl", "forget", name])


def test_nothing_stays_when_idle(rig: Rig) -> None:
    """Last, when each of them was killed and started again several times."""
    machine = rig.machine
    # acmed stays for those of other tests that it is to try again soon.
    for name in machine.run(["sh", "-c", "acmectl list --quiet | cut -d' ' -f1"]).stdout.split():
        machine.run(["acmectl", "forget", name])
    units = ["systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating,deactivating"]
    patterns = ["acmed.service", "acme-*.service"]
    machine.wait_until("all to be idle", lambda: not machine.run([*units, *patterns]).stdout, timeout=90)
    assert machine.run(["pgrep", "--full", "--list-full", "^/usr/bin/python3 -I -m acmed"], check=False).stdout == ""
    sockets = ["systemctl", "is-active", *(f"{victim}.socket" for victim in ALWAYS[1:]), "acme-verify.socket"]
    assert set(machine.run(sockets).stdout.split()) == {"active"}
    failed = machine.run(["systemctl", "list-units", "--plain", "--no-legend", "--state=failed", "acme*"]).stdout
    assert failed == ""
