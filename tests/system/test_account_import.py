# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts of other clients move over: acmed orders with the same account at the CA. certbot, lego, acmebot and lacme
make theirs themselves; acme.sh's and acmems' are files in their formats.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acmed import privatejwk
from bench.peers import PEERS
from tests.machine import Machine, Pebble, package
from tests.system.acmectl import Acmectl
from tests.system.installed import Installed

SEALED = "/etc/credstore.encrypted/acmed.accounts"
KEY = "/root/other.key"
WHERE = "/etc/acmed /etc/credstore.encrypted /var/lib/acmed /var/lib/acme /var/lib/acme-privd /run/acmed".split()


@dataclass(frozen=True)
class Bench:
    """A Debian 13 with the other clients, and acmed; and a CA."""

    machine: Machine
    pebble: Pebble

    @property
    def acmectl(self) -> Acmectl:
        return Acmectl(self.machine)

    def sh(self, script: str) -> str:
        return self.machine.run(["sh", "-euc", script], timeout=180).stdout.strip()

    def set_up(self, client: str) -> None:
        """An account of a client of the bench."""
        self.sh(PEERS[client].setup)

    def import_(self, name: str, path: str, *options: str, code: int = 0) -> str:
        words = ["account", "import", "--name", name, "--ca-file", self.pebble.ca_file, *options, path]
        done = self.acmectl.run(*words, code=code)
        return done.stdout + done.stderr

    def uri(self, name: str) -> str:
        return str(self.acmectl.json("account", "show", name)["uri"])

    def moved(self, name: str, uri: str, key: str) -> None:
        """The account is the one at the CA, orders, and its key, which is in this file, is nowhere else but sealed."""
        assert self.uri(name) == uri
        certificate = f"{name}.import.example"
        self.acmectl.run("order", certificate, "--account", name)
        Installed(self.machine, certificate).check(certificate)
        journal = self.machine.run(["journalctl", "--no-pager", "--all", "--output=export"]).stdout
        for secret in secrets(self.machine.read(key)):
            assert secret not in journal
            assert self.machine.run(["grep", "-r", "-a", "-l", "-F", "-e", secret, *WHERE], check=False).stdout == ""


def secrets(key: str) -> list[str]:
    """Parts of a key by which it would be found as JWK, and as PEM of PKCS#8, in whichever of them it is."""
    if key.lstrip().startswith("{"):
        private = privatejwk.parse(key)
    else:
        loaded = load_pem_private_key(key.encode(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        private = loaded
    return [json.loads(privatejwk.encode(private))["d"][:40], privatejwk.to_pem(private).decode().splitlines()[2][:40]]


@pytest.fixture(scope="module")
def bench(debs: list[Path]) -> Iterator[Bench]:
    with Machine("bench") as machine:
        package.install_at_rest(machine, debs)
        with Pebble(machine) as pebble:
            machine.run(["cp", pebble.ca_file, "/usr/local/share/ca-certificates/pebble.crt"])
            machine.run(["update-ca-certificates"])
            yield Bench(machine, pebble)


@pytest.fixture(scope="module")
def lacme(bench: Bench) -> str:
    """The URL of an account whose key is in KEY."""
    bench.set_up("lacme")
    said = bench.sh("lacme account --register --tos-agreed mailto:admin@example.com 2>&1")
    bench.sh(f"cp /etc/lacme/account.key {KEY}")
    return next(line.split()[-1] for line in said.splitlines() if line.startswith("Key ID:"))


def test_certbot(bench: Bench) -> None:
    bench.set_up("certbot")
    home = bench.sh("dirname /etc/letsencrypt/accounts/*/*/*/private_key.json")
    uri = json.loads(bench.machine.read(f"{home}/regr.json"))["uri"]
    bench.import_("certbot", home)
    bench.moved("certbot", uri, f"{home}/private_key.json")
    assert bench.acmectl.json("account", "show", "certbot")["directory"] == bench.pebble.directory


def test_lego(bench: Bench) -> None:
    bench.set_up("lego")
    home = bench.sh("dirname /var/lib/lego/accounts/*/*/account.json")
    uri = json.loads(bench.machine.read(f"{home}/account.json"))["registration"]["uri"]
    assert "--directory" in bench.import_("lego", home, code=2)
    bench.import_("lego", home, "--directory", bench.pebble.directory)
    bench.moved("lego", uri, bench.sh(f"ls {home}/keys/*.key"))
    assert bench.acmectl.json("account", "show", "lego")["contact"] == ["mailto:admin@example.com"]


def test_acmebot(bench: Bench) -> None:
    bench.set_up("acmebot")
    home = bench.sh("dirname $(find /var/local /opt /etc -name client_key.json)")
    uri = json.loads(bench.machine.read(f"{home}/registration.json"))["uri"]
    bench.import_("acmebot", home, "--directory", bench.pebble.directory)
    bench.moved("acmebot", uri, f"{home}/client_key.json")


def test_lacme(bench: Bench, lacme: str) -> None:
    bench.import_("lacme", KEY, "--directory", bench.pebble.directory)
    bench.moved("lacme", lacme, KEY)


def test_acme_sh(bench: Bench, lacme: str) -> None:
    home = "/root/.acme.sh/ca/localhost/dir"
    bench.sh(f"mkdir -p {home}; cp {KEY} {home}/account.key")
    bench.machine.write(f"{home}/ca.conf", f"ACCOUNT_URL='{lacme}'\nCA_EMAIL='admin@example.com'\n")
    bench.import_("acme-sh", home)
    bench.moved("acme-sh", lacme, KEY)


def test_acmems(bench: Bench, lacme: str) -> None:
    home = "/var/lib/acmems"
    bench.sh(f"mkdir -p {home}; openssl pkcs8 -topk8 -nocrypt -in {KEY} -out {home}/account.pem")
    bench.machine.write(f"{home}/registration.json", json.dumps({"body": {}, "uri": lacme}))
    bench.import_("acmems", f"{home}/account.pem", "--directory", bench.pebble.directory)
    bench.moved("acmems", lacme, KEY)


def test_account_that_the_ca_does_not_know(bench: Bench) -> None:
    bench.sh("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out /root/fresh.key")
    where = ("--directory", bench.pebble.directory)
    assert "knows no account by this key" in bench.import_("fresh", "/root/fresh.key", *where, code=1)
    assert "fresh" not in bench.acmectl.text("account", "list")
    assert bench.machine.run(["test", "-e", f"{SEALED}/fresh"], check=False).returncode == 1
    bench.import_("fresh", "/root/fresh.key", *where, "--agree-tos")
    bench.moved("fresh", bench.uri("fresh"), "/root/fresh.key")


def test_account_that_has_a_key_keeps_it(bench: Bench) -> None:
    where = ("--directory", bench.pebble.directory)
    bench.sh("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /root/another.key")
    bench.acmectl.run("account", "add", "kept", *where, "--ca-file", bench.pebble.ca_file, "--agree-tos")
    before = bench.sh(f"sha256sum {SEALED}/kept")
    said = bench.import_("kept", "/root/another.key", *where, "--agree-tos", code=6)
    assert "org.acmed1.Error.AccountExists" in said
    assert bench.sh(f"sha256sum {SEALED}/kept") == before


def test_key_that_gpg_has_encrypted(bench: Bench) -> None:
    bench.machine.write("/root/key.asc", "-----BEGIN PGP MESSAGE-----\n")
    said = bench.import_("gpg", "/root/key.asc", "--directory", bench.pebble.directory, code=1)
    assert 'key = "gpg:/root/key.asc"' in said
