# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account key that is encrypted with gpg: to a key of acme-gpg's, or with a passphrase that is sealed, known to an
agent, or asked for by its pinentry; and acme-keyd in a terminal with such a key.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.system import typist
from tests.system.farhost import policy
from tests.system.gnupg import HOME, NEW_KEY, encrypted, end_agent, gpg, new_key, unasked
from tests.system.keyaccount import KeyAccount
from tests.system.once import once
from tests.system.terminal import TYPIST, attended

SECRET = "open sesame"

# What the agents have here, and what it asks.
PINENTRY = "pinentry-program /usr/bin/pinentry-tty\n"
ASKS = "Passphrase: "

JANE = "/home/jane"
SOCKET = f"{JANE}/run/acme-keyd.sock"
JANES_KEY = f"""
umask 077
cd
mkdir run .gnupg
echo '{PINENTRY.strip()}' >.gnupg/gpg-agent.conf
gpg {unasked(SECRET)} --quick-generate-key jane future-default
{NEW_KEY} | gpg --batch --trust-model always --encrypt --recipient jane >account.gpg
gpgconf --kill all
"""


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


@pytest.fixture(autouse=True)
def no_agent(keys: Machine) -> Iterator[None]:
    """But what a test starts."""
    end_agent(keys)
    yield
    keys.run(["systemctl", "stop", "acme-store-gpg.service"])
    end_agent(keys)


def account(machine: Machine, pebble: Pebble, name: str, options: str) -> KeyAccount:
    """With the key encrypted by these options."""
    return KeyAccount(machine, pebble, name, f"gpg:{encrypted(machine, name, options)}")


def agents(machine: Machine) -> str:
    return machine.run(["pgrep", "--list-full", "-u", "acme-gpg", "gpg-agent"], check=False).stdout


def test_a_key_of_gpg(keys: Machine, ca: Pebble) -> None:
    new_key(keys, "plain", "")
    plain = account(keys, ca, "plain", "--encrypt --recipient plain")
    plain.add()
    plain.issues("plain.gpg.example.com")
    assert "gpg-agent" in keys.run(["systemctl", "status", plain.unit]).stdout, "it is the unit's"
    keys.run(["systemctl", "stop", plain.unit])
    assert agents(keys) == "", "and ends with it"


def test_a_sealed_passphrase(keys: Machine, ca: Pebble) -> None:
    sealed = account(keys, ca, "sealed", f"{unasked(SECRET)} --symmetric")
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


def test_an_agent_that_asks_at_a_terminal(keys: Machine, ca: Pebble) -> None:
    """That root has it in, as the manual says, when the unit needs the key."""
    new_key(keys, "asks", SECRET)
    asks = account(keys, ca, "asks", "--encrypt --recipient asks")
    keys.write(f"{HOME}/gpg-agent.conf", PINENTRY)
    agent = ["gpg-agent", "--homedir", HOME, "--daemon", "sleep", "infinity"]
    try:
        with attended(keys, SECRET, ASKS, None, {}, "runuser", "--pty", "-u", "acme-gpg", "--", *agent):
            keys.wait_until("the agent", lambda: is_socket(keys, f"{HOME}/S.gpg-agent"))
            asks.add()
            asks.issues("asks.gpg.example.com")
        keys.wait_until("the agent to end with the terminal", lambda: agents(keys) == "")
        asks.issues("another.asks.gpg.example.com")
    finally:
        keys.run(["rm", f"{HOME}/gpg-agent.conf"])
    keys.run(["systemctl", "stop", asks.unit])
    assert "gpg: decryption failed: " in asks.cannot_order("third.asks.gpg.example.com")


def test_acme_keyd_at_a_terminal(keys: Machine, ca: Pebble) -> None:
    """Of a user, whose own agent asks there."""
    keys.run(["useradd", "--create-home", "jane"])
    home = {"HOME": JANE, "XDG_RUNTIME_DIR": f"{JANE}/run"}
    keys.run(["sh", "-euc", JANES_KEY], user="jane", env=home)
    operations = 'operations = ["order", "newAccount"]'
    keys.write(f"{JANE}/.config/acmed/keyd.toml", policy("jane.gpg.example.com", more=operations))
    jane = KeyAccount(keys, ca, "jane", f"unix:{SOCKET}")
    command = ["acme-keyd", "--socket", "--key", f"gpg:{JANE}/account.gpg"]
    with attended(keys, SECRET, ASKS, "jane", home, *command):
        keys.wait_until("acme-keyd's socket", lambda: is_socket(keys, SOCKET))
        jane.add()
        jane.issues("jane.gpg.example.com")
    keys.run(["gpgconf", "--kill", "all"], user="jane", env=home)


def is_socket(machine: Machine, path: str) -> bool:
    return machine.run(["test", "-S", path], check=False).returncode == 0


def test_the_command(keys: Machine, ca: Pebble) -> None:
    """Its options have an effect: another home, which has a key, or has none."""
    path = f"{HOME}/other"
    keys.run(["runuser", "-u", "acme-gpg", "--", "mkdir", "-m", "700", path])
    gpg(keys, f"--homedir {path} --batch --passphrase '' --quick-generate-key other future-default")
    other = account(keys, ca, "other", f"--homedir {path} --encrypt --recipient other")
    keys.run(["runuser", "-u", "acme-gpg", "--", "gpgconf", "--homedir", path, "--kill", "all"])
    assert "gpg: decryption failed: No secret key" in other.cannot_add()
    other.configure(f'key-command = ["gpg", "--quiet", "--homedir", "{path}"]')
    other.add()
    other.issues("other.gpg.example.com")
    other.configure('key-command = ["gpg", "--no-such-option"]')
    assert 'invalid option "--no-such-option"' in other.cannot_order("another.other.gpg.example.com")
    other.configure('key-command = ["/usr/bin/cat"]')
    assert "/usr/bin/cat cannot be started: Permission denied" in other.cannot_order("third.other.gpg.example.com")
