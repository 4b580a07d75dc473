# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account key that is encrypted with gpg: to a key of acme-gpg's, or with a passphrase that is sealed or known to
an agent.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.system import typist
from tests.system.keyaccount import KeyAccount
from tests.system.once import once

TYPIST = "/usr/lib/typist.py"
HOME = "/var/lib/acme-gpg"
SECRET = "open sesame"
LOOPBACK = f"--batch --yes --pinentry-mode loopback --passphrase {shlex.quote(SECRET)}"


@pytest.fixture(scope="module")
def keys(debs: list[Path]) -> Iterator[Machine]:
    with Machine("keys") as machine:
        package.install_at_rest(machine, debs)
        machine.put(Path(typist.__file__), TYPIST)
        machine.run(["sh", "-euc", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /root/key.pem"])
        yield machine


@pytest.fixture(scope="module")
def ca(keys: Machine) -> Iterator[Pebble]:
    with Pebble(keys) as pebble:
        yield pebble


@pytest.fixture(autouse=True)
def no_agent(keys: Machine) -> Iterator[None]:
    """But what a test starts."""
    end_agent(keys)
    yield
    keys.run(["systemctl", "stop", "acme-store-gpg.service"])
    end_agent(keys)


def gpg(machine: Machine, options: str) -> str:
    """As root has it run by the user acme-gpg."""
    return machine.run(["sh", "-euc", f"runuser -u acme-gpg -- gpg --homedir {HOME} {options}"]).stdout


def end_agent(machine: Machine) -> None:
    machine.run(["runuser", "-u", "acme-gpg", "--", "gpgconf", "--homedir", HOME, "--kill", "all"])


def account(machine: Machine, pebble: Pebble, name: str, options: str) -> KeyAccount:
    """With the key encrypted by these options."""
    path = f"/etc/acmed/{name}.gpg"
    gpg(machine, f"--batch --yes --trust-model always {options} </root/key.pem >{path}")
    end_agent(machine)
    return KeyAccount(machine, pebble, name, f"gpg:{path}")


def new_key(machine: Machine, name: str, passphrase: str) -> None:
    options = f"--batch --pinentry-mode loopback --passphrase {shlex.quote(passphrase)}"
    gpg(machine, f"{options} --quick-generate-key {name} future-default")


def agents(machine: Machine) -> str:
    return machine.run(["pgrep", "--list-full", "gpg-agent"], check=False).stdout


def test_a_key_of_gpg(keys: Machine, ca: Pebble) -> None:
    new_key(keys, "plain", "")
    plain = account(keys, ca, "plain", "--encrypt --recipient plain")
    plain.add()
    plain.issues("plain.gpg.example.com")
    assert "gpg-agent" in keys.run(["systemctl", "status", plain.unit]).stdout, "it is the unit's"
    keys.run(["systemctl", "stop", plain.unit])
    assert agents(keys) == "", "and ends with it"


def test_a_sealed_passphrase(keys: Machine, ca: Pebble) -> None:
    sealed = account(keys, ca, "sealed", f"{LOOPBACK} --symmetric")
    assert "gpg ended with status 2: " in sealed.cannot_add()
    sealed.seal(f"{SECRET}\n")
    sealed.add()
    sealed.issues("sealed.gpg.example.com")
    with once(ca):
        sealed.seal("open says me")
        said = sealed.cannot_order("another.sealed.gpg.example.com")
        assert "gpg: decryption failed: Bad session key" in said
        assert "if the passphrase in /etc/credstore.encrypted/acmed.passphrases/sealed is wrong" in said
        sealed.seal(SECRET)
        sealed.issues("another.sealed.gpg.example.com")
    assert "open says me" not in keys.journal()
    assert SECRET not in keys.journal()


def test_an_agent_that_knows_the_passphrase(keys: Machine, ca: Pebble) -> None:
    """One that root has started for acme-gpg, outside of the unit."""
    new_key(keys, "known", SECRET)
    known = account(keys, ca, "known", "--encrypt --recipient known")
    said = known.cannot_add()
    assert "gpg: decryption failed: " in said
    assert "seal that in /etc/credstore.encrypted/acmed.passphrases/known or give it to acme-gpg's agent" in said
    keys.run(["systemctl", "stop", known.unit])
    listing = gpg(keys, "--with-colons --with-keygrip --list-secret-keys known").splitlines()
    grip = [line.split(":")[9] for line in listing if line.startswith("grp:")][1]
    end_agent(keys)
    agent = ["gpg-agent", "--homedir", HOME, "--daemon", "--allow-preset-passphrase"]
    keys.run(["runuser", "-u", "acme-gpg", "--", *agent])
    preset = f"runuser -u acme-gpg -- env GNUPGHOME={HOME} /usr/lib/gnupg/gpg-preset-passphrase --preset {grip}"
    keys.run(["sh", "-euc", preset], input=SECRET)
    known.add()
    known.issues("known.gpg.example.com")
    keys.run(["systemctl", "stop", known.unit])
    assert agents(keys), "it is not the unit's"


def test_an_agent_that_has_seen_the_passphrase(keys: Machine, ca: Pebble) -> None:
    """As root has typed it once, at a terminal."""
    new_key(keys, "seen", SECRET)
    seen = account(keys, ca, "seen", "--encrypt --recipient seen")
    command = ["gpg", "--homedir", HOME, "--pinentry-mode", "loopback", "--decrypt", "/etc/acmed/seen.gpg"]
    typed = ["python3", TYPIST, SECRET, "runuser", "-u", "acme-gpg", "--", *command]
    assert "BEGIN PRIVATE KEY" in keys.run(typed, env={"PROMPT": "Enter passphrase: ", "TERM": "dumb"}).stdout
    seen.add()
    seen.issues("seen.gpg.example.com")


def test_the_command(keys: Machine, ca: Pebble) -> None:
    """Its options have an effect: another home, which has a key, or has none."""
    path = f"{HOME}/other"
    keys.run(["runuser", "-u", "acme-gpg", "--", "mkdir", "-m", "700", path])
    gpg(keys, f"--homedir {path} --batch --passphrase '' --quick-generate-key other future-default")
    encrypted = f"--homedir {path} --batch --trust-model always --encrypt --recipient other </root/key.pem"
    gpg(keys, f"{encrypted} >/etc/acmed/other.gpg")
    keys.run(["runuser", "-u", "acme-gpg", "--", "gpgconf", "--homedir", path, "--kill", "all"])
    other = KeyAccount(keys, ca, "other", "gpg:/etc/acmed/other.gpg")
    assert "gpg: decryption failed: No secret key" in other.cannot_add()
    other.configure(f'key-command = ["gpg", "--quiet", "--homedir", "{path}"]')
    other.add()
    other.issues("other.gpg.example.com")
    other.configure('key-command = ["gpg", "--no-such-option"]')
    assert 'invalid option "--no-such-option"' in other.cannot_order("another.other.gpg.example.com")
    other.configure('key-command = ["/usr/bin/cat"]')
    assert "/usr/bin/cat cannot be started: Permission denied" in other.cannot_order("third.other.gpg.example.com")
