# SPDX-License-Identifier: LGPL-2.1-or-later
"""A new key for an account that the CA does not take, or takes without anybody hearing of it: another type is asked for
then, and the account is never without a key that the CA knows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.faults.faults import Faults, faults
from tests.system.faults.table import PROBLEM, at

ACCOUNT = "rollover"
NAME = "rollover.example.com"
CHANGE = "/rollover-account-key"
SEALED = "/etc/credstore.encrypted/acmed"
ARCHIVE = "/var/lib/acme-privd/archive/accounts"
UNANSWERED = f"/var/lib/private/acme-clientd/key-changes/{ACCOUNT}.json"
FORGET = f"rm -rf {ARCHIVE}/{ACCOUNT}-* {SEALED}.*/{ACCOUNT} {UNANSWERED} /etc/acmed/*/*{ACCOUNT}.*"
WEAK = json.dumps({"type": "urn:ietf:params:acme:error:badPublicKey", "detail": "not such a key"})
# So that what gets no answer ends soon (seconds).
DEADLINES = f"[account.{ACCOUNT}.deadlines]\nrequest = 5\n"

ALGORITHM = f"""
import asyncio
from acmed import paths, varlink

client = varlink.Client(varlink.load("org.acmed.Key"), paths.KEY_SOCKET)
print(asyncio.run(client.call("GetAccount", timeout=60, account="{ACCOUNT}"))["algorithm"])
"""


@dataclass(frozen=True)
class Rig:
    machine: Machine
    faults: Faults

    def rollover(self, key_type: str, code: int = 0) -> str:
        """All that acmectl says."""
        result = Acmectl(self.machine).run("account", "rollover", ACCOUNT, "--key-type", key_type, code=code)
        return result.stdout + result.stderr

    @property
    def algorithm(self) -> str:
        """Of the account's key here; it is the one that the CA knows, as everything of an order is signed with it."""
        self.machine.run(["acmectl", "order", NAME, "--account", ACCOUNT])
        self.machine.run(["acmectl", "forget", NAME])
        return self.machine.run(["python3", "-c", ALGORITHM]).stdout.strip()

    @property
    def next_keys(self) -> list[str]:
        return self.machine.run(["ls", "-A", f"{SEALED}.next-accounts"]).stdout.split()

    def archived(self) -> list[str]:
        return self.machine.run(["sh", "-c", f"cd {ARCHIVE} && ls -A {ACCOUNT}-*"], check=False).stdout.split()


@pytest.fixture
def rig(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    """A new account each time, with a key on P-256."""
    with faults(machine) as proxy:
        options = ["--directory", proxy.directory, "--ca-file", pebble.ca_file, "--contact", "a@example.com"]
        machine.run(["acmectl", "account", "add", ACCOUNT, *options, "--agree-tos"])
        path = f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml"
        machine.write(path, machine.read(path) + DEADLINES)
        yield Rig(machine, proxy)
    machine.run(["sh", "-c", FORGET])
    machine.run(["systemctl", "stop", "acme-keyd.service"])


def refuse(times: int = 1) -> dict[str, object]:
    return at(CHANGE, "refuse", status=400, headers=PROBLEM, body=WEAK, times=times)


def test_a_key_that_the_ca_refuses(rig: Rig) -> None:
    """It is given up, and the account keeps its key until there is one of another type."""
    rig.faults.plan(refuse())
    words = rig.rollover("ecdsa-p384", code=1)
    assert "not such a key; the account keeps the key that it has" in words
    assert "acmectl account rollover --key-type" in words
    assert (rig.next_keys, rig.algorithm) == ([], "ES256")
    assert "acmed.next-accounts" in rig.archived()
    rig.rollover("rsa-2048")
    assert (rig.next_keys, rig.algorithm) == ([], "RS256")


def test_a_type_of_keys_that_the_ca_does_not_know(rig: Rig) -> None:
    """Pebble cannot even look for an account of such a key."""
    words = rig.rollover("ed25519", code=1)
    assert "the account keeps the key that it has" in words
    assert (rig.next_keys, rig.algorithm) == ([], "ES256")
    rig.rollover("ecdsa-p384")
    assert (rig.next_keys, rig.algorithm) == ([], "ES384")


def test_a_key_that_the_ca_took_while_the_answer_was_lost(rig: Rig) -> None:
    """The CA knows that one: it takes the old one's place, before another one is made."""
    rig.faults.plan(at(CHANGE, "lose"))
    rig.rollover("ecdsa-p384", code=1)
    assert rig.next_keys == [ACCOUNT]
    rig.faults.plan()
    rig.rollover("rsa-2048")
    assert (rig.next_keys, rig.algorithm) == ([], "RS256")
    rig.machine.run(["journalctl", "--sync"])
    journal = rig.machine.run(["journalctl", "--unit=acmed.service", "--output=cat", "--lines=200"]).stdout
    assert f"Account {ACCOUNT} has the key (ecdsa-p384) of an earlier change, and gets another one" in journal
    assert f"Account {ACCOUNT} has a new key (rsa-2048)" in journal


def test_a_key_that_the_ca_refuses_while_a_request_has_no_answer(rig: Rig) -> None:
    """The CA may still come to it. An hour later it will not, and another one can be made."""
    rig.faults.plan(at(CHANGE, "reset"))
    rig.rollover("ecdsa-p384", code=1)
    rig.faults.plan(refuse(times=3))
    assert "try again in an hour" in rig.rollover("rsa-2048", code=1)
    assert (rig.next_keys, rig.algorithm) == ([ACCOUNT], "ES256")
    kept = json.loads(rig.machine.read(UNANSWERED))
    rig.machine.write(UNANSWERED, json.dumps(kept | {"since": kept["since"] - 3601}))
    rig.faults.plan(refuse())
    rig.rollover("rsa-2048")
    assert (rig.next_keys, rig.algorithm) == ([], "RS256")
    assert rig.machine.run(["ls", UNANSWERED], check=False).returncode != 0
