# SPDX-License-Identifier: LGPL-2.1-or-later
"""Renewal when the CA wants it (RFC 9773): asked by the timer, and told what a certificate replaces."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl, running
from tests.system.authority import account, forget
from tests.system.gate.gate import Gate, gate
from tests.system.installed import Installed
from tests.system.timer import run_timer

ACCOUNT = "ari"
DAY = 24 * 3600
REASON = "https://ca.example/incidents/2026-11"


@dataclass(frozen=True)
class Ca:
    """Pebble, which says what it is told to, behind the gate."""

    machine: Machine
    pebble: Pebble
    gate: Gate

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def ordered(self, name: str, *names: str) -> Installed:
        """A certificate, about which the CA has not been asked yet."""
        self.ctl.run("order", "--name", name, *(names or [name]), "--account", ACCOUNT)
        return Installed(self.machine, name)

    def wants(self, certificate: Installed, start: float, end: float) -> None:
        """It is to be renewed between these days from now."""
        window = {"start": moment(start), "end": moment(end)}
        self.answers(certificate, json.dumps({"suggestedWindow": window, "explanationURL": REASON}))

    def answers(self, certificate: Installed, answer: str) -> None:
        self.pebble.set_renewal_info(self.machine.read(f"{certificate.directory}/cert.pem"), answer)

    def replacements(self) -> int:
        """How many orders have said what they replace, and were taken."""
        return self.machine.journal("pebble.service").count("is a replacement of")


@pytest.fixture(scope="module")
def ca(machine: Machine, pebble: Pebble) -> Iterator[Ca]:
    with gate(machine) as passed, account(machine, ACCOUNT, Gate.directory):
        yield Ca(machine, pebble, passed)
        forget(machine, "ari-")


def moment(days: float) -> str:
    """RFC 3339, so many days from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * DAY))


def test_window_that_is_over_means_at_once(ca: Ca) -> None:
    """As when the CA is about to revoke it: everybody is told why."""
    certificate = ca.ordered("ari-past.example")
    serial, replacements = certificate.serial, ca.replacements()
    ca.wants(certificate, -2, -1)
    said = run_timer(ca.machine)
    assert f"The CA wants {certificate.name} to be replaced at once, as if it were revoked; why: {REASON}" in said
    assert f"{certificate.name}: renewed" in said
    assert certificate.serial != serial
    assert ca.replacements() == replacements + 1
    renewed = ca.ctl.json("status", certificate.name)
    assert (renewed["state"], renewed["renewalWindow"], renewed["renewalExplanation"]) == ("valid", None, None)


def test_window_that_is_open_is_used_in_time(ca: Ca) -> None:
    """Somewhere in it, which is long after its begin here."""
    certificate = ca.ordered("ari-open.example")
    ca.wants(certificate, -1000, 0.0001)
    serial = certificate.serial
    assert f"{certificate.name}: renewed" in run_timer(ca.machine)
    assert certificate.serial != serial


def test_window_that_is_to_come(ca: Ca) -> None:
    certificate = ca.ordered("ari-future.example")
    serial, before = certificate.serial, ca.ctl.json("status", certificate.name)
    ca.wants(certificate, 20, 21)
    assert f"{certificate.name}: renewed" not in run_timer(ca.machine)
    assert certificate.serial == serial
    shown = ca.ctl.json("status", certificate.name)
    start, end = shown["renewalWindow"]
    assert start <= shown["renewAt"] <= end < before["renewAt"]
    assert (shown["state"], shown["renewalExplanation"]) == ("valid", REASON)
    text = ca.ctl.text("status", certificate.name)
    assert "CA's window: " in text
    assert f"Its reason: {REASON}" in text


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        (1, '{"suggestedWindow": {'),
        (2, '["suggestedWindow"]'),
        (3, '{"suggestedWindow": {"start": "soon", "end": "later"}}'),
        (4, '{"suggestedWindow": {"start": "2020-01-02T00:00:00Z", "end": "2020-01-01T00:00:00Z"}}'),
    ],
)
def test_answer_that_says_nothing(ca: Ca, number: int, answer: str) -> None:
    """It is renewed as if the CA had no opinion."""
    certificate = ca.ordered(f"ari-nothing-{number}.example")
    serial, before = certificate.serial, ca.ctl.json("status", certificate.name)
    ca.answers(certificate, answer)
    said = run_timer(ca.machine)
    assert f"{certificate.name}: the CA could not be asked when to renew it: " in said
    assert f"{certificate.name}: renewed" not in said
    assert certificate.serial == serial
    assert ca.ctl.json("status", certificate.name) == before


def test_certificate_that_has_been_replaced_already(ca: Ca) -> None:
    """The CA issued another one that never came here, and says no to a second: it is ordered without saying so."""
    certificate = ca.ordered("ari-twice.example")
    serial, replacements = certificate.serial, ca.replacements()
    ca.gate.hold("request", "/certZ/")
    with running(ca.machine, "renew", "--force", certificate.name) as renewal:
        try:
            ca.gate.wait_held()
            (job,) = ca.ctl.json("jobs")
            ca.ctl.run("cancel", str(job["id"]))
            assert renewal.end()[0] == 1
        finally:
            ca.gate.release()
    assert certificate.serial == serial
    assert ca.replacements() == replacements + 1

    ca.ctl.run("renew", "--force", "--new-key", certificate.name)
    certificate.check(certificate.name)
    assert certificate.serial != serial
    assert ca.replacements() == replacements + 1
    assert ca.gate.orders(certificate.name) == 3
    said = ca.machine.journal("acme-clientd.service")
    assert "does not take the order as a replacement" in said
    assert "already has a replacement order" in said
