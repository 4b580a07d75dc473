# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed becomes what is configured, and what was installed is put back: by the timer, and told before."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.authority import account, another, forget
from tests.system.busctl import MANAGER, NAME, ROOT
from tests.system.installed import Installed
from tests.system.timer import run_timer

OTHER = "reissue-other"


@dataclass(frozen=True)
class Host:
    """Its administrator edits files; the timer's unit does the rest."""

    machine: Machine
    pebble: Pebble
    account: str

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def ordered(self, name: str) -> Installed:
        self.ctl.run("order", name, "--account", self.account)
        return Installed(self.machine, name)

    def configure(self, name: str, *lines: str) -> None:
        """The certificate's file says this, and no more."""
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", "\n".join([*lines, ""]))

    def differences(self, name: str) -> list[str]:
        """As status has them, which says so in words, too."""
        found: list[str] = self.ctl.json("status", name)["differences"]
        words = f"differs from configuration: {', '.join(found)}\n"
        assert (words in self.ctl.text("status", name)) == bool(found)
        return found


@pytest.fixture(scope="module")
def host(machine: Machine, pebble: Pebble, account: str) -> Iterator[Host]:
    yield Host(machine, pebble, account)
    forget(machine, "reissue-")


@pytest.fixture(scope="module")
def other(machine: Machine, pebble: Pebble) -> Iterator[str]:
    """Another account at the same CA."""
    with account(machine, OTHER, pebble.directory) as name:
        yield name
        forget(machine, "reissue-account")


NAMES = 'names = ["reissue-{}.example"]'


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("names", ['names = ["reissue-names.example", "more.reissue-names.example"]']),
        ("key-type", [NAMES.format("key-type"), 'key-type = "rsa-2048"']),
        ("profile", [NAMES.format("profile"), 'profile = "default"']),
        ("must-staple", [NAMES.format("must-staple"), "must-staple = true"]),
        ("common-name", [NAMES.format("common-name"), 'common-name = "reissue-common-name.example"']),
        ("account", [NAMES.format("account"), f'account = "{OTHER}"']),
    ],
)
def test_configuration_that_changes(host: Host, other: str, key: str, lines: list[str]) -> None:
    """Once: afterwards there is nothing to do."""
    name = f"reissue-{key}.example"
    certificate = host.ordered(name)
    serial, key_before = certificate.serial, certificate.public_key
    assert host.differences(name) == []
    host.configure(name, *lines)
    assert host.differences(name) == [key]
    assert host.ctl.json("status", name)["state"] == "due"
    assert f"{name}: renewed" in run_timer(host.machine)
    assert certificate.serial != serial
    assert certificate.public_key != key_before
    assert host.differences(name) == []
    match key:
        case "names":
            certificate.check(name, f"more.{name}")
        case "key-type":
            assert "Public-Key: (2048 bit)" in certificate.show("-text")
        case "must-staple":
            assert "status_request" in certificate.show("-ext", "tlsfeature")
        case _:
            certificate.check(name)
    serial = certificate.serial
    assert f"{name}: renewed" not in run_timer(host.machine)
    assert certificate.serial == serial


def test_configuration_of_what_no_order_says(host: Host) -> None:
    """A service more, or another time for the renewal, is no reason to order."""
    name = "reissue-same.example"
    certificate = host.ordered(name)
    serial = certificate.serial
    host.configure(name, NAMES.format("same"), "renew-before = 10", "reuse-key = true")
    assert host.differences(name) == []
    assert f"{name}: renewed" not in run_timer(host.machine)
    assert certificate.serial == serial


def test_ca_that_an_account_has_been_moved_to(host: Host) -> None:
    """Its table says so; the account's name has stayed."""
    name, moved = "reissue-moved.example", "reissue-moved"
    with another(host.machine, moved, 14130) as second, account(host.machine, moved, host.pebble.directory):
        host.ctl.run("order", name, "--account", moved)
        certificate = Installed(host.machine, name)
        issuer = certificate.show("-issuer")
        path = f"/etc/acmed/acmed.toml.d/account-{moved}.toml"
        lines = host.machine.read(path).replace(host.pebble.directory, second.directory).splitlines()
        host.machine.write(path, "\n".join([*(line for line in lines if not line.startswith("uri")), ""]))
        host.ctl.run("account", "add", moved, "--agree-tos")
        assert host.differences(name) == ["ca"]
        assert f"{name}: renewed" in run_timer(host.machine)
        assert certificate.show("-issuer") != issuer
        certificate.check(name)
        assert host.differences(name) == []
        assert run_timer(host.machine) == ""
        forget(host.machine, name)


def test_key_of_roots_own(host: Host) -> None:
    """It is used as it is, and once it was replaced, the certificate is."""
    name, key = "reissue-own-key.example", "/etc/acmed/reissue.key"
    make = f"umask 077; openssl ecparam -name prime256v1 -genkey -noout -out {key}"
    host.machine.run(["sh", "-c", make])
    host.configure(name, NAMES.format("own-key"), f'key-file = "{key}"')
    host.ctl.run("order", "--name", name)
    certificate = Installed(host.machine, name)
    certificate.check(name, key=key)
    before = certificate.serial
    assert f"{name}: renewed" not in run_timer(host.machine)
    assert certificate.serial == before
    host.machine.run(["sh", "-c", make])
    assert host.differences(name) == ["key-file"]
    assert f"{name}: renewed" in run_timer(host.machine)
    certificate.check(name, key=key)
    assert certificate.serial != before
    host.machine.run(["rm", key])


@pytest.fixture
def private(host: Host) -> Iterator[str]:
    """A key in a directory where acmed may not look, as with Debian's package ssl-cert."""
    top = "/etc/ssl/private"
    before = host.machine.run(["stat", "--format=%a", top]).stdout.strip()
    host.machine.run(["chmod", "0710", top])
    yield f"{top}/reissue.key"
    host.machine.run(["sh", "-c", f"rm -f {top}/reissue.key*; chmod {before} {top}"])


def test_key_of_roots_own_where_acmed_cannot_look(host: Host, private: str) -> None:
    """acme-privd finds that it was replaced, whenever something is done; nobody starts it to show how things are."""
    name, machine = "reissue-private-key.example", host.machine
    make = f"umask 077; openssl ecparam -name prime256v1 -genkey -noout -out {private}"
    machine.run(["sh", "-c", make])
    host.configure(name, NAMES.format("private-key"), f'key-file = "{private}"')
    host.ctl.run("order", "--name", name)
    certificate = Installed(machine, name)
    certificate.check(name, key=private)
    before = certificate.serial
    machine.run(["sh", "-c", f"cp -p {private} {private}.new && mv {private}.new {private}"])
    assert f"{name}: renewed" not in run_timer(machine)
    assert certificate.serial == before
    machine.run(["sh", "-c", make])
    machine.run(["systemctl", "stop", "acme-privd.service"])
    assert host.differences(name) == []
    assert machine.run(["systemctl", "is-active", "acme-privd.service"], check=False).stdout.strip() == "inactive"
    assert f"{name}: renewed" in run_timer(machine)
    certificate.check(name, key=private)
    second = certificate.serial
    assert second != before
    assert f"{name}: renewed" not in run_timer(machine)
    machine.run(["sh", "-c", make])
    machine.run(["busctl", "call", NAME, ROOT, MANAGER, "Reload"])
    assert host.differences(name) == ["key-file"]
    host.ctl.run("renew", name)
    certificate.check(name, key=private)
    assert certificate.serial != second
    assert host.differences(name) == []
    machine.run(["sh", "-c", make])
    host.ctl.run("renew", name)
    certificate.check(name, key=private)


@pytest.fixture(scope="module")
def kept(host: Host) -> Installed:
    """A certificate that is as it was after each test."""
    return host.ordered("reissue-kept.example")


@pytest.mark.parametrize(
    "damage",
    [
        "rm cert.pem",
        "rm privkey.pem chain.pem",
        "rm -r $(realpath .)",
        "rm $PWD",
        "cp /etc/pebble/server.key privkey.pem",
        "cp /etc/pebble/server.pem cert.pem",
        "truncate --size=100 fullchain.pem",
        "echo >>chain.pem",
    ],
)
def test_files_that_were_changed_are_put_back(host: Host, kept: Installed, damage: str) -> None:
    """From what is kept; nothing is ordered."""
    show = f"cd {kept.directory} && sha256sum * && stat --format '%n %a %U:%G' *"
    before = host.machine.run(["sh", "-c", show]).stdout
    host.machine.run(["sh", "-c", f"cd {kept.directory} && {damage}"])
    assert host.machine.run(["sh", "-c", show], check=False).stdout != before
    assert f"{kept.name}: restored" in run_timer(host.machine)
    assert host.machine.run(["sh", "-c", show]).stdout == before
    kept.check(kept.name)
    assert host.ctl.json("status", kept.name)["state"] == "valid"


def test_files_are_put_back_on_demand(host: Host, kept: Installed) -> None:
    before = kept.serial
    host.machine.run(["rm", f"{kept.directory}/cert.pem"])
    assert f"{kept.name}: restored" in host.ctl.text("restore", kept.name)
    assert kept.serial == before


@pytest.mark.parametrize("left", ["everything-else", "nothing"])
def test_files_of_which_nothing_is_kept_are_ordered_anew(host: Host, left: str) -> None:
    """At once, after the timer has found that it cannot put them back."""
    name = f"reissue-lost-{left}.example"
    certificate = host.ordered(name)
    serial = certificate.serial
    lost = {
        "nothing": f"/var/lib/acme/.{name}.* /var/lib/acme/{name}",
        "everything-else": f"{certificate.directory}/c*",
    }
    host.machine.run(["sh", "-c", f"rm -rf /var/lib/acme-privd/sets/{name} {lost[left]}"])
    said = run_timer(host.machine, fails=True)
    assert f"Nothing is kept of '{name}' that could be put back; it is ordered again" in said
    host.machine.wait_until("it to be ordered", lambda: not host.ctl.json("jobs"))
    certificate.check(name)
    assert certificate.serial != serial
    status = host.ctl.json("status", name)
    assert (status["state"], status["failures"], status["lastError"]) == ("valid", 0, None)
