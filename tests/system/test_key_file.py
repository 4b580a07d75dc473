# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account key in a file of root's: plain, encrypted with a sealed passphrase, or with one that somebody gives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.system import typist
from tests.system.keyaccount import KeyAccount
from tests.system.once import once

SECRET = "open sesame"
NEW_KEY = "umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
ENCRYPTED = f"-aes-256-cbc -pass 'pass:{SECRET}'"
WAITS = "waits for its passphrase: answer with systemd-tty-ask-password-agent"
TYPIST = "/usr/lib/typist.py"


@pytest.fixture(scope="module")
def keys(debs: list[Path]) -> Iterator[Machine]:
    with Machine("keys") as machine:
        package.install_at_rest(machine, debs)
        machine.put(Path(typist.__file__), TYPIST)
        yield machine


@pytest.fixture(scope="module")
def ca(keys: Machine) -> Iterator[Pebble]:
    with Pebble(keys) as pebble:
        yield pebble


def account(machine: Machine, pebble: Pebble, name: str, options: str) -> KeyAccount:
    path = f"/etc/acmed/{name}.pem"
    machine.run(["sh", "-euc", f"{NEW_KEY} {options} -out {path}"])
    return KeyAccount(machine, pebble, name, f"file:{path}")


def test_a_plain_key(keys: Machine, ca: Pebble) -> None:
    plain = account(keys, ca, "plain", "")
    plain.add()
    plain.issues("plain.example.com")
    assert not keys.run(["ls", "/etc/credstore.encrypted/acmed.accounts"]).stdout, "it needs no credential of ours"


def test_files_that_are_refused(keys: Machine, ca: Pebble) -> None:
    """With the command that mends it; and then it is used."""
    refused = account(keys, ca, "refused", "")
    path = "/etc/acmed/refused.pem"
    keys.run(["chmod", "640", path])
    assert f"others may read or write it: chmod 600 {path}" in refused.cannot_add()
    keys.run(["chmod", "600", path])
    keys.run(["chown", "daemon", path])
    assert "cannot be used: Permission denied" in refused.cannot_add()
    keys.run(["chown", "root", path])
    refused.add()
    refused.key = "file:/root/refused.pem"
    keys.run(["mv", path, "/root"])
    refused.configure()
    assert "acme-store-file.service does not see /root: move it, such as to /etc/acmed" in refused.cannot_add()


def test_a_sealed_passphrase(keys: Machine, ca: Pebble) -> None:
    sealed = account(keys, ca, "sealed", ENCRYPTED)
    sealed.seal(f"{SECRET}\n")
    sealed.add()
    sealed.issues("sealed.example.com")
    with once(ca):
        sealed.seal("open says me")
        said = sealed.cannot_order("another.sealed.example.com")
        assert "acmed.passphrases/sealed does not open it: seal the right one there, then systemctl try-restart" in said
        sealed.seal(SECRET)
        sealed.issues("another.sealed.example.com")
    assert "open says me" not in keys.journal()


def test_somebody_gives_the_passphrase(keys: Machine, ca: Pebble) -> None:
    """What waited for that goes on; the key is held as long as nobody stops the unit."""
    asked = account(keys, ca, "asked", ENCRYPTED)
    assert WAITS in asked.cannot_add()
    assert "Passphrase of file:/etc/acmed/asked.pem, the key of ACME account asked:" in questions(keys)
    answer(keys, "open says me")
    unlocking(keys, "is not unlocked: the passphrase that was given does not open it")
    assert f"the passphrase that was given does not open it; now {WAITS}" in asked.cannot_add()
    answer(keys, SECRET)
    unlocking(keys, "is unlocked")
    asked.add()
    asked.issues("asked.example.com")
    assert questions(keys) == ""
    keys.run(["systemctl", "stop", asked.unit])
    assert questions(keys) == ""
    assert WAITS in asked.cannot_order("another.asked.example.com")
    keys.run(["systemctl", "stop", asked.unit])
    assert questions(keys) == "", "a question whose asker is gone"
    assert WAITS in asked.cannot_order("another.asked.example.com")
    answer(keys, SECRET)
    unlocking(keys, "is unlocked", times=2)
    asked.issues("another.asked.example.com")
    assert SECRET not in keys.journal()


def questions(machine: Machine) -> str:
    return machine.run(["systemd-tty-ask-password-agent", "--list"]).stdout


def answer(machine: Machine, passphrase: str) -> None:
    """As root, at a terminal."""
    command = ["python3", TYPIST, passphrase, "systemd-tty-ask-password-agent", "--query"]
    machine.run(command, env={"PROMPT": "account asked: ", "TERM": "dumb"})


def unlocking(machine: Machine, result: str, times: int = 1) -> None:
    text = f"The key of account asked {result}"
    machine.wait_until("the passphrase to be tried", lambda: machine.journal("acme-store-file").count(text) == times)
