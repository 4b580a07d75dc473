# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian 12: an order by each store that an account's key may be in, with the gpg, SoftHSM and OpenSSH of its time, and
by each challenge that the other tests there do without.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.bind import Bind
from tests.machine.zones import TsigKey, Zone
from tests.system import gnupg, softhsm, typist
from tests.system.farhost import KEYD, PORT, Hosts, hosts, policy
from tests.system.keyaccount import KeyAccount
from tests.system.nameservers import site
from tests.system.terminal import TYPIST

SECRET = "open sesame"
ENCRYPTED = f"{gnupg.NEW_KEY} -aes-256-cbc -pass 'pass:{SECRET}'"
SERVER = "127.0.0.11"
TSIG = TsigKey("bookworm")
ZONE = Zone("bookworm.test", (("ns1", (SERVER,)),), updates="allow-update { key bookworm; };")


@pytest.fixture(scope="module")
def both(debs: list[Path]) -> Iterator[Hosts]:
    with hosts(debs, "bookworm") as both:
        yield both


def account(both: Hosts, name: str, key: str) -> KeyAccount:
    return KeyAccount(both.machine, both.pebble, name, key)


def encrypted_file(both: Hosts, name: str) -> KeyAccount:
    path = f"/etc/acmed/{name}.pem"
    both.machine.run(["sh", "-euc", f"umask 077; {ENCRYPTED} -out {path}"])
    return account(both, name, f"file:{path}")


def test_these_are_of_debian_12(both: Hosts) -> None:
    said = both.machine.run(["sh", "-c", "systemctl --version; gpg --version; ssh -V 2>&1; openssl version"]).stdout
    for program in ("systemd 252 ", "gpg (GnuPG) 2.2.", "OpenSSH_9.2p1", "OpenSSL 3.0."):
        assert program in said


def test_a_file_with_a_sealed_passphrase(both: Hosts) -> None:
    """By tls-alpn-01."""
    sealed = encrypted_file(both, "sealed")
    sealed.seal(SECRET)
    sealed.add()
    sealed.issues("sealed.example.com", "--challenge", "tls-alpn-01")


def test_a_file_whose_passphrase_somebody_gives(both: Hosts) -> None:
    asked = encrypted_file(both, "asked")
    assert "waits for its passphrase: answer with systemd-tty-ask-password-agent" in asked.cannot_add()
    both.machine.put(Path(typist.__file__), TYPIST)
    answer = ["python3", TYPIST, SECRET, "systemd-tty-ask-password-agent", "--query"]
    both.machine.run(answer, env={"PROMPT": "account asked: ", "TERM": "dumb"})
    unlocked = "The key of account asked is unlocked"
    both.machine.wait_until("the passphrase to be tried", lambda: unlocked in both.machine.journal(asked.unit))
    asked.add()
    asked.issues("asked.example.com")


def test_gpg(both: Hosts) -> None:
    gnupg.new_key(both.machine, "acme", "")
    plain = account(both, "gpg", f"gpg:{gnupg.encrypted(both.machine, 'gpg', '--encrypt --recipient acme')}")
    plain.add()
    plain.issues("plain.gpg.example.com")
    options = f"{gnupg.unasked(SECRET)} --symmetric"
    symmetric = account(both, "symmetric", f"gpg:{gnupg.encrypted(both.machine, 'symmetric', options)}")
    symmetric.seal(SECRET)
    symmetric.add()
    symmetric.issues("symmetric.gpg.example.com")


def test_a_token(both: Hosts) -> None:
    softhsm.make(both.machine)
    token = account(both, "token", softhsm.source("ec"))
    softhsm.seal(both.machine, token.name)
    token.add()
    token.issues("token.example.com")


def test_an_acme_keyd_of_another_host(both: Hosts) -> None:
    far = both.far.user("signer")
    far.make_key("ec")
    far.write(far.config, KEYD + policy("far.example.com", more='operations = ["order", "newAccount"]'))
    identity = both.far.identity("far")
    far.authorize(identity, "acme-keyd --stdio")
    both.configure("far", f'key = "ssh:{far.name}@127.0.0.1:{PORT}"')
    both.seal("far", identity)
    both.register("far")
    both.order("far", "far.example.com")
    assert far.signed("finalize") == 1
    said = both.ctl.error("order", "near.example.com", "--account", "far", code=1)
    assert "near.example.com is none of the names" in said


def test_dns_01(both: Hosts) -> None:
    """With a key of acmed's own, sealed."""
    keys = {"ours": TSIG.bind}
    with (
        Bind(both.machine, "ns1", [SERVER], [ZONE], [TSIG]),
        site(both.machine, "dns", {ZONE.name: SERVER}, keys) as dns,
    ):
        dns.configure({ZONE.name: {"key": "ours"}})
        dns.order("both", [ZONE.name, f"*.{ZONE.name}"])
        dns.installed("both").check(ZONE.name, f"*.{ZONE.name}")
        dns.assert_nothing_is_left(SERVER, ZONE.name)
