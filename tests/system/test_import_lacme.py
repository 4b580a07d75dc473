# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host whose certificates lacme has moves over: the same account, keys and files, by the commands that are told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.machine import Machine, Pebble, package
from tests.system.acmectl import Acmectl

TLS = "/etc/moving"
ROOT = "/etc/lacme/root.pem"
RELOADED = "/run/moving"
SECTIONS = ("www.moving.example", "mail", "plain")
KEYS = {
    "www.moving.example": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "mail": "openssl genrsa 2048",
    "plain": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
}
UNIT = f"""
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reload >>{RELOADED}'
"""
CONFIGURATION = """
[client]
server = {server}
timeout = 60
[webserver]
listen = [::]:80
[accountd]
quiet = Yes
"""
CERTIFICATES = f"""
CAfile = {ROOT}
[www.moving.example]
certificate-key = {TLS}/www.moving.example.key
certificate = {TLS}/www.moving.example.crt
certificate-chain = {TLS}/www.moving.example.pem
subject = /CN=www.moving.example
subjectAltName = DNS:www.moving.example, DNS:moving.example
owner = mail:www-data
mode = 0640
min-days = 30
notify = /bin/systemctl reload moving
[mail]
certificate-key = {TLS}/mail.key
certificate-chain = {TLS}/mail.pem
subject = /CN=mail.moving.example
subjectAltName = DNS:mail.moving.example
hash = sha384
keyUsage = digitalSignature, keyEncipherment
"""
MORE = f"""
[plain]
certificate-key = {TLS}/plain.key
certificate-chain = {TLS}/plain.pem
subject = /CN=plain.moving.example
subjectAltName = DNS:plain.moving.example
"""
CRON = "5 4 * * * root /usr/sbin/lacme --quiet newOrder\n"


@dataclass
class Host:
    """The machine as its administrator knows it."""

    machine: Machine
    account: str = ""
    """Its URL, as lacme tells."""
    serials: dict[str, str] = field(default_factory=dict)
    """As lacme left them."""

    @property
    def acmectl(self) -> Acmectl:
        return Acmectl(self.machine)

    def sh(self, script: str) -> str:
        return self.machine.run(["sh", "-euc", script], timeout=120).stdout

    def serial(self, section: str) -> str:
        """Of the certificate where lacme wrote it."""
        return self.sh(f"openssl x509 -noout -serial -in {TLS}/{section}.pem").strip()

    def rights(self, path: str) -> str:
        return self.sh(f"stat -c '%U:%G %a' {path}").strip()

    def check(self, section: str, *names: str) -> None:
        """The files at lacme's paths are for these names, lead to the CA's root, and have lacme's key."""
        chain, key = f"{TLS}/{section}.pem", f"{TLS}/{section}.key"
        shown = self.sh(f"openssl x509 -noout -ext subjectAltName -in {chain}")
        assert sorted(part.strip(" ,\n") for part in shown.split("DNS:")[1:]) == sorted(names)
        self.sh(f"openssl verify -CAfile {ROOT} -untrusted {chain} {chain}")
        self.sh(f'test "$(openssl x509 -noout -pubkey -in {chain})" = "$(openssl pkey -pubout -in {key})"')


@pytest.fixture(scope="module")
def pebble(debs: list[Any]) -> Iterator[Pebble]:
    """A CA in a machine with lacme and acmed."""
    with Machine("keys") as machine:
        package.install_at_rest(machine, debs)
        with Pebble(machine) as pebble:
            yield pebble


@pytest.fixture(scope="module")
def host(pebble: Pebble) -> Host:
    """lacme has an account and three certificates."""
    machine = pebble.machine
    host = Host(machine)
    machine.write(ROOT, pebble.root_pem())
    host.sh(f"cp {Pebble.ca_file} /usr/local/share/ca-certificates/pebble.crt; update-ca-certificates; mkdir {TLS}")
    host.sh("umask 077; openssl genrsa 2048 >/etc/lacme/account.key")
    for section, command in KEYS.items():
        host.sh(f"umask 077; {command} >{TLS}/{section}.key")
    machine.write("/etc/systemd/system/moving.service", UNIT)
    host.sh("systemctl daemon-reload; systemctl start moving")
    machine.write("/etc/lacme/lacme.conf", CONFIGURATION.format(server=pebble.directory))
    machine.write("/etc/lacme/lacme-accountd.conf", "privkey = file:%E/lacme/account.key\n")
    machine.write("/etc/lacme/lacme-certs.conf", CERTIFICATES)
    machine.write("/etc/lacme/lacme-certs.conf.d/plain.conf", MORE)
    machine.write("/etc/cron.d/lacme", CRON)
    said = machine.run(["lacme", "account", "--register", "--tos-agreed", "mailto:admin@example.com"]).stderr
    host.account = next(line.split()[-1] for line in said.splitlines() if line.startswith("Key ID:"))
    machine.run(["lacme", "newOrder"], timeout=120)
    host.serials = {section: host.serial(section) for section in SECTIONS}
    assert host.rights(f"{TLS}/www.moving.example.pem") == "mail:www-data 640"
    return host


def test_it_moves_over_and_renews(host: Host) -> None:
    before = host.sh("find /etc/acmed /etc/systemd | sort")
    shown = host.acmectl.json("import", "lacme", "--dry-run")
    assert host.sh("find /etc/acmed /etc/systemd | sort") == before
    assert (shown["written"], shown["errors"]) == (False, [])
    assert [problem["message"] for problem in shown["problems"] if not problem["note"]] == []
    told = host.acmectl.json("import", "lacme")
    assert told["files"] == shown["files"]
    _run_what_is_told(host, told["commands"])
    account = host.acmectl.json("account", "show", "lacme")
    assert account["uri"] == host.account
    first = _check_all(host, host.serials)
    reloads = host.sh(f"cat {RELOADED}").split()
    host.acmectl.run("renew", *SECTIONS, "--force")
    last = _check_all(host, first)
    assert len(host.sh(f"cat {RELOADED}").split()) == len(reloads) + 1
    host.acmectl.run("renew", "--due")
    assert {section: host.serial(section) for section in SECTIONS} == last, "nothing is due"
    assert host.sh("ls /etc/credstore.encrypted/acmed.accounts") == "", "no other key was made"


def test_again(host: Host) -> None:
    """Nothing is overwritten, whoever wrote it."""
    before = host.sh("cat /etc/acmed/acmed.toml.d/*")
    said = host.acmectl.run("import", "lacme", code=1)
    assert "/etc/acmed/certificates.d/mail.toml is there already, and is not overwritten" in said.stderr
    assert host.sh("cat /etc/acmed/acmed.toml.d/*") == before


def test_another_user(host: Host) -> None:
    """May look, where lacme's files may be read, and writes nothing."""
    other = Acmectl(host.machine, "nobody")
    assert "Only root may write acmed's configuration." in other.error("import", "lacme", code=3)


def _run_what_is_told(host: Host, commands: list[str]) -> None:
    """As pasted into a shell. The last one is for a person: cron's file."""
    assert commands[-1] == f"# remove line 1 of /etc/cron.d/lacme: {CRON.strip()}"
    for command in commands[:-1]:
        host.sh(command)


def _check_all(host: Host, before: dict[str, str]) -> dict[str, str]:
    """All three are new, at lacme's paths, with lacme's keys; their serial numbers."""
    host.check("www.moving.example", "www.moving.example", "moving.example")
    host.check("mail", "mail.moving.example")
    host.check("plain", "plain.moving.example")
    for name in ("pem", "crt"):
        assert host.rights(f"{TLS}/www.moving.example.{name}") == "mail:www-data 640"
    assert host.rights(f"{TLS}/mail.pem") == "root:root 644"
    assert host.sh(f"head -n 1 {RELOADED}").strip() == "reload"
    now = {section: host.serial(section) for section in SECTIONS}
    assert not set(now.values()) & set(before.values())
    return now
