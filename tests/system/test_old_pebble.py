# SPDX-License-Identifier: LGPL-2.1-or-later
"""CAs of other years: the Pebbles of Debian 12 (no ARI, no Retry-After, no profiles) and Debian 13 (ARI as a draft)."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.authority import account, another, forget
from tests.system.installed import Installed
from tests.system.lease import wait_closed
from tests.system.timer import run_timer

ACCOUNT = "old-pebble"


@dataclass(frozen=True)
class Old:
    """A CA with an account there, and its version."""

    machine: Machine
    pebble: Pebble
    version: str

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def order(self, *words: str, code: int = 0) -> str:
        """What acmectl says, to both outputs."""
        done = self.ctl.run("order", *words, "--account", ACCOUNT, code=code)
        return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["2.4", "2.6"])
def old(request: pytest.FixtureRequest, machine: Machine, pebble: Pebble) -> Iterator[Old]:
    program = f"/opt/pebble-{request.param}/usr/bin/pebble"
    with (
        another(machine, ACCOUNT, 14100, program=program, strict=True, nonce_reject=15) as own,
        account(machine, ACCOUNT, own.directory),
    ):
        yield Old(machine, own, request.param)
        forget(machine, "old-pebble-")


def test_order_renew_and_revoke(old: Old) -> None:
    name = "old-pebble-life.example"
    certificate = Installed(old.machine, name)
    old.order(name, f"www.{name}")
    certificate.check(name, f"www.{name}")
    assert certificate.is_issued_by(old.pebble.root_pem())
    serial = certificate.serial
    old.ctl.run("renew", "--force", name)
    certificate.check(name, f"www.{name}")
    assert certificate.serial != serial
    old.ctl.run("revoke", name, "--no-replace")
    assert old.ctl.json("status", name, code=1)["state"] == "revoked"
    status = ["curl", "--silent", "--fail", "--cacert", old.pebble.ca_file]
    url = f"{old.pebble.management}/cert-status-by-serial/{certificate.serial}"
    assert '"Revoked"' in old.machine.run([*status, url]).stdout
    wait_closed(old.machine)


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_challenges(old: Old, challenge: str) -> None:
    name = f"old-pebble-{challenge}.example"
    old.order(name, "--challenge", challenge)
    Installed(old.machine, name).check(name)
    wait_closed(old.machine)


def test_key_of_rsa_and_many_names(old: Old) -> None:
    names = [f"old-pebble-{number}.example" for number in range(10)]
    old.order(*names, "--key-type", "rsa-2048")
    Installed(old.machine, names[0]).check(*names)


def test_when_to_renew(old: Old) -> None:
    """By the lifetime alone where the CA has nothing that it could be asked by."""
    name = "old-pebble-ari.example"
    old.order(name)
    before = old.ctl.json("status", name)
    said = run_timer(old.machine)
    assert f"{name}: renewed" not in said
    assert "could not be asked" not in said
    after = old.ctl.json("status", name)
    assert after["state"] == "valid"
    assert bool(after["renewalWindow"]) == (old.version == "2.6")
    assert (after["renewAt"] == before["renewAt"]) == (old.version == "2.4")


def test_profile_that_no_ca_had_then(old: Old) -> None:
    said = old.order("old-pebble-profile.example", "--profile", "classic", code=1)
    assert "this CA has no profiles, and 'classic' is asked for" in said
