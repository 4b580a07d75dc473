# SPDX-License-Identifier: LGPL-2.1-or-later
"""Account keys on a token of SoftHSM's: orders, a token that is pulled, a wrong PIN, and acme-keyd in a terminal."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.system import softhsm
from tests.system.acmectl import running
from tests.system.keyaccount import KeyAccount
from tests.system.once import once
from tests.system.softhsm import GENERATE, INIT, KINDS, PIN, PINS, TOKENS, UNIT, seal
from tests.system.standstill import frozen_ca

USER = "jane"
HOME = f"/home/{USER}"
KEYD = """
[key]
source = "pkcs11:token=hers?module-name=softhsm2"
pin-file = "%h/pin"
[policy]
directories = ["{directory}"]
operations = ["newAccount", "update"]
"""


@pytest.fixture(scope="module")
def keys(debs: list[Path]) -> Iterator[Machine]:
    """A Debian 13 with acmed, and a token with a key of each kind, by which the unit may sign."""
    with Machine("keys") as machine:
        package.install_at_rest(machine, debs)
        softhsm.make(machine)
        yield machine


@pytest.fixture(scope="module")
def ca(keys: Machine) -> Iterator[Pebble]:
    with Pebble(keys) as pebble:
        yield pebble


def account(machine: Machine, pebble: Pebble, kind: str, name: str) -> KeyAccount:
    return KeyAccount(machine, pebble, name, softhsm.source(kind))


@contextlib.contextmanager
def pulled(machine: Machine) -> Iterator[None]:
    machine.run(["mv", TOKENS, f"{TOKENS}.pocket"])
    try:
        yield
    finally:
        machine.run(["mv", f"{TOKENS}.pocket", TOKENS])


@pytest.mark.parametrize("kind", KINDS)
def test_an_order(keys: Machine, ca: Pebble, kind: str) -> None:
    one = account(keys, ca, kind, f"order-{kind}")
    assert f"wants a PIN: seal it as {PINS}/{one.name}, see acme-keyd(8)" in one.cannot_add()
    seal(keys, one.name, PIN)
    one.add()
    one.issues(f"{kind}.token.example")


def test_the_token_is_pulled_in_the_middle(keys: Machine, ca: Pebble) -> None:
    one = account(keys, ca, "ec", "pulled")
    seal(keys, one.name, PIN)
    one.add()
    name = "pulled.token.example"
    with once(ca):
        pulled_in_the_middle(one, name)
        one.issues(name)


def pulled_in_the_middle(one: KeyAccount, name: str) -> None:
    keys = one.machine
    with frozen_ca(keys), running(keys, "order", name, "--account", one.name) as order:
        keys.wait_until(
            "the order to be on its way",
            lambda: [job for job in one.acmectl.json("jobs") if job["step"] == "authorize"],
        )
        with pulled(keys):
            keys.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])
            code, output = order.end()
            assert code == 1
            assert f"{one.key} of account {one.name} cannot be used: " in output
            assert "is it there?" in output or "no such token" in output or "cannot be initialised" in output
            assert f"{one.key} of account" in one.cannot_order(name)


def test_a_wrong_pin_is_tried_once(keys: Machine, ca: Pebble) -> None:
    """Neither an order, nor a restart of the unit, asks the token again."""
    one = account(keys, ca, "rsa", "wrong")
    seal(keys, one.name, "000000")
    assert f"refuses the PIN: CKR_PIN_INCORRECT (0x000000A0); it is not tried again; the PIN is that of {PINS}" in (
        one.cannot_add()
    )
    for restart in (False, True):
        if restart:
            keys.run(["systemctl", "stop", UNIT])
        assert "refused this PIN before, and may lock when it is tried again" in one.cannot_add()
    asked = keys.run(["journalctl", "--boot", "--unit", UNIT, "--grep", "CKR_PIN_INCORRECT"]).stdout
    assert asked.count("CKR_PIN_INCORRECT") == 1
    seal(keys, one.name, PIN)
    one.add()
    assert "refused-pin" not in keys.run(["ls", "/run/private/acme-store-pkcs11"]).stdout
    with once(ca):
        seal(keys, one.name, "000000")
        assert f"the PIN is that of {PINS}/wrong" in one.cannot_order("wrong.token.example")
        seal(keys, one.name, PIN)
        one.issues("wrong.token.example")


def test_at_a_terminal(keys: Machine, ca: Pebble) -> None:
    """acme-keyd of a user, with a token of her own, signs for lacme."""
    keys.run(["useradd", "--create-home", USER])
    home = {"HOME": HOME, "XDG_RUNTIME_DIR": HOME, "SOFTHSM2_CONF": f"{HOME}/softhsm2.conf"}
    keys.write(f"{HOME}/.config/acmed/keyd.toml", KEYD.format(directory=ca.directory))
    script = f"""
        umask 077
        mkdir {HOME}/tokens
        echo 'directories.tokendir = {HOME}/tokens' >{HOME}/softhsm2.conf
        {INIT.replace("acme", "hers")}
        {GENERATE.replace("acme", "hers")} --key-type EC:prime256v1 --label hers --id 01
        echo {PIN} >{HOME}/pin
    """
    keys.run(["sh", "-euc", script], user=USER, env=home)
    keys.run(["sh", "-c", f"cp {Pebble.ca_file} /usr/local/share/ca-certificates/pebble.crt; update-ca-certificates"])
    keys.write("/etc/lacme/lacme.conf", f"[client]\nserver = {ca.directory}\nsocket = {HOME}/acme-keyd.sock\n")
    process = keys.popen(["sh", "-c", "echo $$; exec acme-keyd --socket"], user=USER, env=home)
    assert process.stdout
    pid, said = process.stdout.readline().strip(), process.stdout.readline()
    try:
        assert "Listening" in said, said
        done = keys.run(["lacme", "account", "--register", "--tos-agreed"], check=False)
        assert "Key ID: https://" in done.stdout + done.stderr
    finally:
        keys.run(["kill", "-TERM", pid])
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert keys.run(["pgrep", "-u", USER, "-f", "tokenworker"], check=False).stdout == ""
