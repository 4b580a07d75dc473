# SPDX-License-Identifier: LGPL-2.1-or-later
"""What else lacme's users have: what is in a request, chosen roots, days that are to be left, and runs without work."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from acmed.ctl.exits import Exit
from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.authority import forget
from tests.system.installed import Installed

PREFIX = "features-"
ROOTS = "/etc/acmed/features-roots.pem"
STATE = ("/etc/acmed", "/var/lib/acme", "/var/lib/acme-privd", "/var/lib/acmed", "/var/lib/private/acme-clientd")
LIFETIME = 90  # days, of Pebble's certificates


@dataclass(frozen=True)
class Host:
    """Its administrator edits files, and the CA counts what it is asked."""

    machine: Machine
    pebble: Pebble
    account: str

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def configure(self, name: str, *lines: str) -> Installed:
        text = "\n".join([f'names = ["{name}"]', f'account = "{self.account}"', *lines, ""])
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", text)
        return Installed(self.machine, name)

    def orders(self) -> int:
        """How many the CA was asked for."""
        return self.machine.journal("pebble.service").count("POST /order-plz")

    def requests(self) -> int:
        """How many of any kind it has answered."""
        return self.machine.journal("pebble.service").count("-> calling handler()")

    def state(self) -> str:
        """Each file that acmed keeps, with the times when it and what is known of it changed last."""
        return self.machine.run(["find", *STATE, "-printf", "%p %T@ %C@\\n"]).stdout


@pytest.fixture(scope="module")
def host(machine: Machine, pebble: Pebble, account: str) -> Iterator[Host]:
    yield Host(machine, pebble, account)
    forget(machine, PREFIX)
    machine.run(["rm", "-f", ROOTS])


def request_of(host: Host, name: str) -> str:
    """What openssl makes of the CSR that was sent last."""
    path = f"/var/lib/acme-privd/pending/{name}/csr.der"
    return host.machine.run(["openssl", "req", "-inform", "DER", "-in", path, "-noout", "-text", "-verify"]).stdout


def test_what_is_in_a_request(host: Host) -> None:
    name = f"{PREFIX}content.example"
    usage = 'key-usage = ["keyEncipherment", "digitalSignature"]'
    subject = f'subject = "CN={name},O=Example Ltd,C=GB"'
    certificate = host.configure(name, 'key-type = "rsa-2048"', usage, 'hash = "sha384"', subject)
    host.ctl.run("order", "--name", name)
    made = request_of(host, name)
    assert "Signature Algorithm: sha384WithRSAEncryption" in made
    assert "X509v3 Key Usage: critical\n                    Digital Signature, Key Encipherment\n" in made
    assert f"Subject: C=GB,O=ExampleLtd,CN={name}\n" in made.replace(" ", "").replace("Subject:", "Subject: ")
    certificate.check(name)
    assert "Digital Signature" in certificate.show("-ext", "keyUsage")
    key = [
        "openssl",
        "req",
        "-inform",
        "DER",
        "-in",
        f"/var/lib/acme-privd/pending/{name}/csr.der",
        "-noout",
        "-pubkey",
    ]
    assert host.machine.run(key).stdout.strip() == certificate.public_key
    # What is asked for otherwise is asked for anew.
    host.configure(name, 'key-type = "rsa-2048"', 'hash = "sha512"', subject)
    assert host.ctl.json("status", name)["differences"] == ["key-usage", "hash"]
    host.ctl.run("renew", name)
    made = request_of(host, name)
    assert "Signature Algorithm: sha512WithRSAEncryption" in made
    assert "Key Usage" not in made
    assert host.ctl.json("status", name)["differences"] == []


def test_chain_that_leads_elsewhere(host: Host) -> None:
    """One order, whatever is tried, and none once the right root is there."""
    name = f"{PREFIX}anchors.example"
    certificate = host.configure(name, f'trust-anchors = "{ROOTS.replace("/etc", "%E")}"')
    before = host.orders()
    said = host.ctl.run("order", "--name", name, code=Exit.FAILED).stderr
    assert f"{ROOTS}: No such file or directory" in said
    assert ROOTS in host.machine.run(["acmectl", "config", "check"], check=False).stdout
    assert host.orders() == before
    # That is a CA's, but not of the one which issues.
    host.machine.run(["install", "-m", "644", Pebble.ca_file, ROOTS])
    assert ROOTS not in host.machine.run(["acmectl", "config", "check"], check=False).stdout
    said = host.ctl.run("order", "--name", name, code=Exit.FAILED).stderr
    assert f"leads to no certificate in {ROOTS} ('trust-anchors'): it was issued by 'CN=Pebble" in said
    assert f"'acmectl renew {name}'" in said
    for words in (["renew", "--due"], ["renew", "--due", "--min-days", "21"]):
        assert host.ctl.text(*words) == ""  # it waits after the failure
    host.ctl.run("renew", name, code=Exit.FAILED)
    status = host.ctl.json("status", name, code=Exit.FAILED)
    assert (status["state"], status["failures"], status["notAfter"]) == ("failing", 3, None)
    assert host.machine.run(["test", "-e", certificate.directory], check=False).returncode == 1
    assert host.orders() == before + 1
    host.machine.write(ROOTS, host.pebble.root_pem())
    host.ctl.run("renew", name)
    certificate.check(name)
    assert certificate.is_issued_by(host.pebble.root_pem())
    assert host.orders() == before + 1
    assert host.ctl.json("status", name)["state"] == "valid"


def test_days_that_are_to_be_left(host: Host) -> None:
    name = f"{PREFIX}days.example"
    certificate = host.configure(name)
    host.ctl.run("order", "--name", name)
    serial, before = certificate.serial, host.orders()
    said = host.ctl.error("renew", name, "--min-days", "30", code=Exit.NOT_NOW)
    assert f"'{name}' is valid until " in said
    assert "it has more than 30 days left" in said
    assert host.ctl.text("renew", "--due", "--min-days", "30") == ""
    assert (certificate.serial, host.orders()) == (serial, before)
    assert f"{name}: renewed" in host.ctl.text("renew", name, "--min-days", str(LIFETIME))
    assert certificate.serial != serial
    assert host.orders() == before + 1


@pytest.mark.parametrize("words", [["renew", "--due"], ["renew", "--due", "--min-days", "21"]], ids=" ".join)
def test_run_without_work_touches_nothing(host: Host, words: list[str]) -> None:
    name = f"{PREFIX}idle.example"
    host.configure(name)
    host.machine.run(["acmectl", "order", "--name", name], check=False)
    host.ctl.run("renew", "--due")  # the CA is asked when it wants the renewal, once in some hours
    host.machine.run(["systemctl", "stop", "acmed.service"])  # the next run begins at its beginning
    files, requests = host.state(), host.requests()
    result = host.ctl.run(*words)
    assert (result.stdout, result.stderr) == ("", "")
    assert host.requests() == requests > 0
    assert host.state() == files
