# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account at a real CA from its beginning to its end, with a SIGKILL between its two keys."""

import signal
from collections.abc import Iterator

import pytest

from tests.machine import Machine, Pebble
from tests.system import privcall
from tests.system.acmectl import Acmectl
from tests.system.conftest import add_account
from tests.system.gate.gate import Gate, gate

ACCOUNT = "life"
NAME = "life.example.com"
KEY_ID, HMAC_KEY = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
SEALED = "/etc/credstore.encrypted/acmed"
ARCHIVE = "/var/lib/acme-privd/archive/accounts"
BOUND = ("--eab-key-id", KEY_ID, "--eab-hmac-file")
FORGET = f"rm -rf {ARCHIVE} {SEALED}.*/life* /etc/acmed/acmed.toml.d/account-life* /etc/acmed/ca/life* /run/hmac*"
DAEMONS = ("acmed", "acme-privd", "acme-clientd", "acme-keyd")

READ = """
import asyncio
from acmed import paths, varlink

client = varlink.Client(varlink.load("org.acmed.Client"), paths.CLIENT_SOCKET)
print(asyncio.run(client.call("ReadAccount", timeout=60, job=1, account="life")))
"""
THUMBPRINT = """
import asyncio, sys
from acmed import paths, varlink

client = varlink.Client(varlink.load("org.acmed.Key"), paths.KEY_SOCKET)
print(asyncio.run(client.call("GetAccount", timeout=60, account=sys.argv[1]))["thumbprint"])
"""


@pytest.fixture(scope="module")
def life(machine: Machine, pebble: Pebble, account: str) -> Iterator[Gate]:
    """A CA that opens accounts only with an external account binding, behind the gate; and such an account."""
    pebble.external_account_keys = {KEY_ID: HMAC_KEY}
    pebble.restart()
    machine.write("/run/hmac", HMAC_KEY)
    with gate(machine) as passed:
        add(machine, ACCOUNT, *BOUND, "/run/hmac")
        yield passed
    pebble.external_account_keys = {}
    pebble.restart()
    machine.run(["sh", "-c", FORGET])
    machine.run(["systemctl", "stop", *(f"{daemon}.service" for daemon in DAEMONS)])
    add_account(machine, pebble)


def add(machine: Machine, account: str, *options: str, code: int = 0) -> str:
    words = ["account", "add", account, "--directory", Gate.directory, "--ca-file", Pebble.ca_file, "--agree-tos"]
    result = Acmectl(machine).run(*words, "--contact", "first@example.com", *options, code=code)
    return result.stdout + result.stderr


def as_acmed(machine: Machine, program: str) -> str:
    return machine.run(["python3", "-c", program], user="acmed").stdout


def thumbprint(machine: Machine, account: str = ACCOUNT) -> str:
    return machine.run(["python3", "-c", THUMBPRINT, account]).stdout


def order(machine: Machine, account: str = ACCOUNT) -> None:
    """Everything of it is signed with the account's key."""
    machine.run(["acmectl", "order", NAME, "--account", account])
    machine.run(["acmectl", "forget", NAME])


def test_an_external_account_binding(machine: Machine, life: Gate) -> None:
    assert "--eab-key-id" in add(machine, "life-bound", code=1)
    machine.write("/run/hmac-wrong", "A" * 43)
    add(machine, "life-bound", *BOUND, "/run/hmac-wrong", code=1)
    add(machine, "life-bound", *BOUND, "/run/hmac")
    assert HMAC_KEY not in machine.run(["journalctl", "--no-pager", "--all", "--output=export"]).stdout
    assert (
        HMAC_KEY
        not in machine.run(
            ["grep", "-r", "-a", HMAC_KEY, "/etc/acmed", "/etc/credstore.encrypted", "/var/lib"], check=False
        ).stdout
    )
    assert f'eab-key-id = "{KEY_ID}"' in machine.read("/etc/acmed/acmed.toml.d/account-life-bound.toml")
    order(machine, "life-bound")


@pytest.mark.parametrize("key_type", ["ecdsa-p521", "rsa-3072", "rsa-4096"])
def test_an_account_with_a_key_of_another_type(machine: Machine, life: Gate, key_type: str) -> None:
    account = f"life-{key_type}"
    add(machine, account, "--key-type", key_type, *BOUND, "/run/hmac")
    order(machine, account)
    before = thumbprint(machine, account)
    Acmectl(machine).run("account", "rollover", account, "--key-type", "ecdsa-p521")
    assert thumbprint(machine, account) != before
    order(machine, account)


def test_a_type_of_key_that_the_ca_does_not_take(machine: Machine, life: Gate) -> None:
    """Nothing of it is in the way of another one; an account that is there keeps its key."""
    refused = add(machine, "life-ed25519", "--key-type", "ed25519", *BOUND, "/run/hmac", code=1)
    assert "badSignatureAlgorithm" in refused
    assert "ES256" in refused, "what the CA takes"
    assert "take another --key-type" in refused
    assert "life-ed25519" not in Acmectl(machine).text("account", "list")
    left = machine.run(["sh", "-c", f"ls -A {SEALED}.* /etc/acmed/acmed.toml.d /etc/acmed/ca"]).stdout
    assert "life-ed25519" not in left
    add(machine, "life-ed25519", *BOUND, "/run/hmac")
    before = thumbprint(machine, "life-ed25519")
    result = Acmectl(machine).run("account", "rollover", "life-ed25519", "--key-type", "ed25519", code=1)
    assert "another type" in result.stdout + result.stderr
    assert thumbprint(machine, "life-ed25519") == before
    order(machine, "life-ed25519")


def test_contacts(machine: Machine, life: Gate) -> None:
    Acmectl(machine).run("account", "update", ACCOUNT, "--contact", "second@example.com")
    assert privcall.call(machine, "PermitAccount", account=ACCOUNT, operation="read", contact=[]) == {}
    assert "mailto:second@example.com" in as_acmed(machine, READ)
    assert "second@example.com" in Acmectl(machine).text("account", "show", ACCOUNT)


def test_a_new_key(machine: Machine, life: Gate) -> None:
    before = thumbprint(machine)
    Acmectl(machine).run("account", "rollover", ACCOUNT)
    assert thumbprint(machine) != before
    assert machine.run(["ls", "-A", f"{SEALED}.next-accounts"]).stdout == ""
    order(machine)


@pytest.mark.parametrize("phase", ["request", "answer"])
@pytest.mark.parametrize("victims", [("acme-clientd",), ("acmed",), ("acme-keyd",), ("acme-privd",), DAEMONS], ids=str)
def test_a_new_key_with_a_kill_before_and_after_the_ca_has_it(
    machine: Machine, life: Gate, phase: str, victims: tuple[str, ...]
) -> None:
    before = thumbprint(machine)
    life.hold(phase, "/rollover-account-key")
    rollover = machine.popen(["acmectl", "account", "rollover", ACCOUNT])
    try:
        life.wait_held()
        machine.run(["systemctl", "kill", f"--signal={signal.SIGKILL.name}", *(f"{one}.service" for one in victims)])
    finally:
        life.release()
        words, _ = rollover.communicate(timeout=90)
    assert rollover.returncode == 0, words
    assert thumbprint(machine) != before
    assert machine.run(["ls", "-A", f"{SEALED}.next-accounts"]).stdout == ""
    order(machine)


def test_a_slip_in_the_directory(machine: Machine, life: Gate) -> None:
    """The account is nowhere yet: it is given the right directory, or goes again, and no CA is asked for that."""
    ctl = Acmectl(machine)
    typo = ["--directory", "https://no-such-ca.invalid/directory", "--agree-tos"]
    for name in ("life-slip", "life-gone"):
        assert machine.run(["acmectl", "account", "add", name, *typo], check=False).returncode != 0
    gone = ctl.run("account", "deactivate", "life-gone")
    assert "it was not registered at https://no-such-ca.invalid/directory, which was not asked" in gone.stdout
    assert "life-gone" not in ctl.text("account", "list")
    assert len(machine.run(["sh", "-c", f"ls -d {ARCHIVE}/life-gone-*"]).stdout.split()) == 1
    add(machine, "life-slip", *BOUND, "/run/hmac")
    again = machine.run(["acmectl", "account", "add", "life-slip", *typo], check=False)
    assert again.returncode == 6, again.stderr
    ctl.run("account", "deactivate", "life-slip")


def test_the_end(machine: Machine, life: Gate) -> None:
    add(machine, "life-end", *BOUND, "/run/hmac")
    machine.run(["acmectl", "order", NAME, "--account", "life-end"])
    refused = Acmectl(machine).run("account", "deactivate", "life-end", code=1)
    assert NAME in refused.stdout + refused.stderr
    machine.run(["acmectl", "forget", NAME])
    Acmectl(machine).run("account", "deactivate", "life-end")
    assert "life-end" not in Acmectl(machine).text("account", "list")
    assert len(machine.run(["sh", "-c", f"ls -d {ARCHIVE}/life-end-*"]).stdout.split()) == 1
    left = machine.run(["sh", "-c", f"ls -A {SEALED}.* /etc/acmed/acmed.toml.d /etc/acmed/ca"]).stdout
    assert "life-end" not in left
