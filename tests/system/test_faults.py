# SPDX-License-Identifier: LGPL-2.1-or-later
"""What CAs, load balancers and bad lines do to an order: it is issued, or it fails with words that say why and is
finished later; with a bounded number of requests, no second order, and no order lost.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.faults.faults import Faults, faults
from tests.system.faults.table import AUTHZ, CHALLENGE, FINALIZE, LIST, ORDER, POLLS, TABLE, Case, at, busy
from tests.system.lease import wait_closed

ACCOUNT = "faults"
# Seconds. Short, so that what ends by them ends soon.
DEADLINES = f"""
[account.{ACCOUNT}.deadlines]
authorization = 8
finalize = 8
request = 10
"""
# The names here have no addresses but at the CA.
DEFAULTS = """
[defaults]
preflight = false
"""
ZONE = "/run/systemd/system/acme-clientd.service.d/zone.conf"


@dataclass
class Rig:
    machine: Machine
    faults: Faults

    def order(self, name: str) -> tuple[int, str]:
        """acmectl's exit code and words."""
        result = self.machine.run(["acmectl", "order", name, "--account", ACCOUNT], check=False, timeout=120)
        return result.returncode, result.stdout + result.stderr

    def made(self, name: str) -> list[str]:
        """The orders for a name that the CA has made: what the paths of their URLs end with."""
        answered = (one for one in self.faults.requests() if one["names"] == [name] and one["ca"] == 201)
        return [one["made"].rpartition("/")[2] for one in answered]

    def issued(self, name: str) -> int:
        """How often the CA was asked to issue for a name, and did."""
        paths = [FINALIZE + number for number in self.made(name)]
        return sum(one["path"] in paths and one["ca"] == 200 for one in self.faults.requests())

    def check_whole(self, name: str) -> None:
        read = f"openssl verify -CAfile /run/faults/root.pem -untrusted chain.pem -verify_hostname {name} cert.pem"
        self.machine.run(["sh", "-c", f"cd /var/lib/acme/{name} && {read}"])
        wait_closed(self.machine)


@pytest.fixture(scope="module")
def rig(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    with faults(machine) as proxy:
        machine.write("/run/faults/root.pem", pebble.root_pem())
        options = ["--directory", proxy.directory, "--ca-file", pebble.ca_file, "--contact", "a@example.com"]
        machine.run(["acmectl", "account", "add", ACCOUNT, *options, "--agree-tos"])
        path = f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml"
        machine.write(path, machine.read(path) + DEADLINES)
        machine.write("/etc/acmed/acmed.toml.d/faults.toml", DEFAULTS)
        yield Rig(machine, proxy)
    machine.run(["rm", path, "/etc/acmed/acmed.toml.d/faults.toml"])
    machine.run(["rm", f"/etc/acmed/ca/{ACCOUNT}.pem", f"/etc/credstore.encrypted/acmed.accounts/{ACCOUNT}"])
    machine.run(["systemctl", "stop", "acme-keyd.service"])


@pytest.fixture
def name(rig: Rig, request: pytest.FixtureRequest) -> Iterator[str]:
    """That of a certificate, which is forgotten afterwards, with all that acmed would do for it. acme-clientd does not
    run: what it costs to begin is part of what is seen.
    """
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-") + ".example.com"
    rig.machine.run(["systemctl", "stop", "acme-clientd.service"])
    rig.faults.forget()
    yield name
    rig.faults.plan()
    rig.machine.run(["acmectl", "forget", name])


@pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])
def test_fault(rig: Rig, name: str, case: Case) -> None:
    if case.cold:
        rig.faults.forget_directory()
    rig.faults.plan(*case.faults)
    code, words = rig.order(name)
    requests = rig.faults.requests()
    rig.faults.plan()
    shown = f"{words}\n{requests}"
    for fault in case.faults:
        done = [one for one in requests if one["path"].startswith(fault["path"]) and one["done"] == fault["do"]]
        assert len(done) == fault["times"] if "times" in fault else done, f"{fault}: {shown}"
    looks = [one for one in requests if one["path"].startswith(LIST)]
    assert len(requests) - len(looks) <= case.most + POLLS, shown
    # The list of the account's orders is looked at where an answer to newOrder was lost, and only then.
    assert bool(looks) == any(one["path"] == ORDER and one["done"] in ("lose", "cut", "reset") for one in requests), (
        shown
    )
    if case.words is None:
        assert code == 0, shown
    else:
        assert code != 0, shown
        assert case.words in words
        wait_closed(rig.machine)
        code, words = rig.order(name)
        assert code == 0, words
    assert len(rig.made(name)) == case.orders, rig.faults.requests()
    assert rig.issued(name) == 1, rig.faults.requests()
    rig.check_whole(name)


@pytest.fixture(params=["UTC0", "EST5EDT", "JST-9", "<+14>-14"])
def zone(rig: Rig, request: pytest.FixtureRequest) -> Iterator[str]:
    """The time zone of acme-clientd."""
    rig.machine.write(ZONE, f"[Service]\nEnvironment=TZ={request.param}\n")
    rig.machine.run(["systemctl", "daemon-reload"])
    yield request.param
    rig.machine.run(["rm", ZONE])
    rig.machine.run(["systemctl", "daemon-reload"])
    rig.machine.run(["systemctl", "stop", "acme-clientd.service"])


@pytest.mark.parametrize("form", ["2", "{date+3}"])
def test_zone(rig: Rig, zone: str, name: str, form: str) -> None:
    """A pause is kept to in each form, and is no hours longer."""
    rig.faults.plan(busy(ORDER, 503, form, times=1))
    code, words = rig.order(name)
    assert code == 0, words
    refused, passed = (one["time"] for one in rig.faults.requests() if one["path"] == ORDER)
    assert 1.9 <= passed - refused < 30


def test_many_names(rig: Rig, name: str) -> None:
    """Forty in one order, and resets now and then: it goes through, and asks for nothing for ever."""
    names = [name, *(f"n{number}.{name}" for number in range(39))]
    # Never all attempts of one request.
    rig.faults.plan(*(at(path, "reset", every=9, times=3) for path in (AUTHZ, CHALLENGE)))
    order = ["acmectl", "order", "--name", name, *names, "--account", ACCOUNT]
    result = rig.machine.run(order, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(rig.faults.requests()) < 8 * len(names)
