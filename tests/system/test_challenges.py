# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each type of challenge in one order, over two zones: one that acme-dnsd updates at BIND, and one that a hook sets."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.machine.zones import TsigKey, Zone
from tests.system.conftest import add_account

SERVER, RESOLVER = "127.0.0.11", "127.0.0.53"
KEY = TsigKey("acmed")
HOOK = f"""\
#!/bin/sh
# What a provider's interface would be asked.
case $1 in set) change=add ttl=1 ;; clear) change=delete ttl= ;; esac
printf 'server {SERVER}\\nzone %s\\nupdate %s %s. %s TXT "%s"\\nsend\\n' \\
    "$ACMED_ZONE" "$change" "$ACMED_NAME" "$ttl" "$ACMED_VALUE" | nsupdate
"""
SERVERS = (("ns1", (SERVER,)),)
HOSTS = "* A 127.0.0.1"
ZONES = [
    Zone("one.test", SERVERS, records=f"@ A 127.0.0.1\n{HOSTS}", updates="allow-update { key acmed; };"),
    Zone("two.test", SERVERS, records=HOSTS, updates="allow-update { 127.0.0.0/8; };"),
]
CONFIGURATION = """\
[zone."one.test"]
key = "acmed"

[zone."two.test"]
method = "hook"
hook = "provider"
"""
MIXED = {
    "a.one.test": "http-01",
    "b.one.test": "tls-alpn-01",
    "one.test": "dns-account-01",
    "c.one.test": "dns-01",
    "*.c.one.test": "dns-01",
    "d.two.test": "dns-01",
    "e.two.test": "dns-account-01",
    "127.0.0.1": "tls-alpn-01",
}


@dataclass
class Rig:
    """A machine with name servers, and a CA that asks them."""

    machine: Machine
    pebble: Pebble

    def configure(self, name: str, types: dict[str, str], **keys: object) -> None:
        """A certificate whose names are validated as types says."""
        lines = [f"names = {json.dumps(list(types))}", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        lines += ["[challenges]", *(f"{json.dumps(name)} = {json.dumps(kind)}" for name, kind in types.items() if kind)]
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", "\n".join(lines) + "\n")

    def order(self, name: str) -> str:
        """The job's lines in the journal, once it is done."""
        self.machine.run(["acmectl", "order", "--name", name])
        return self.machine.run(["journalctl", "-q", "-o", "cat", f"ACME_CERTIFICATE={name}"]).stdout

    def names(self, name: str) -> set[str]:
        """In the installed certificate."""
        command = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", f"/var/lib/acme/{name}/cert.pem"]
        text = self.machine.run(command).stdout.splitlines()[-1]
        return {one.strip().removeprefix("DNS:").removeprefix("IP Address:") for one in text.split(",")}

    def assert_nothing_is_left(self) -> None:
        """No file, no record of an order's own, no open port."""
        for directory in ("http01", "alpn01"):
            assert self.machine.run(["ls", f"/run/acmed/{directory}"]).stdout == ""
        for zone in ("one.test", "two.test"):
            transfer = self.machine.run(["dig", "+noall", "+answer", f"@{SERVER}", zone, "AXFR"]).stdout
            assert "_acme-challenge" not in transfer
        for socket in ("acme-http01.socket", "acme-alpn01.socket"):
            assert self.machine.run(["systemctl", "is-active", socket], check=False).stdout.strip() == "inactive"


@pytest.fixture(scope="module")
def servers(machine: Machine, pebble: Pebble) -> Iterator[Rig]:
    machine.run(
        ["systemd-creds", "encrypt", "--name=tsig_acmed", "-", "/etc/credstore.encrypted/acmed.dns/acmed"],
        input=KEY.bind,
    )
    machine.write("/etc/acmed/hooks.d/provider", HOOK)
    machine.run(["chmod", "755", "/etc/acmed/hooks.d/provider"])
    machine.write("/etc/acmed/acmed.toml.d/zones.toml", CONFIGURATION)
    left = "/etc/acmed/hooks.d/provider /etc/acmed/acmed.toml.d/zones.toml /etc/credstore.encrypted/acmed.dns/acmed"
    with contextlib.ExitStack() as stack:
        stack.callback(machine.run, ["sh", "-c", f"rm {left}; rm -f /etc/acmed/certificates.d/mixed*.toml"])
        stack.callback(machine.run, ["systemctl", "stop", "acme-dnsd.service"])
        stack.enter_context(Bind(machine, "ns1", [SERVER], ZONES, [KEY]))
        stack.enter_context(Bind(machine, "resolver", [RESOLVER], forward={zone.name: SERVER for zone in ZONES}))
        machine.run(["systemctl", "stop", "acme-dnsd.service"])  # its credentials are those of its start
        resolvers = machine.run(["cat", "/etc/resolv.conf"]).stdout
        stack.callback(machine.write, "/etc/resolv.conf", resolvers)
        machine.write("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
        stack.callback(_restart, machine, pebble, pebble.asks)
        _restart(machine, pebble, f"{RESOLVER}:53")
        yield Rig(machine, pebble)


def _restart(machine: Machine, pebble: Pebble, asks: str) -> None:
    pebble.asks = asks
    pebble.restart()
    add_account(machine, pebble)


@pytest.fixture
def rig(servers: Rig) -> Iterator[Rig]:
    yield servers
    servers.assert_nothing_is_left()


def test_all_types_in_one_order(rig: Rig) -> None:
    rig.configure("mixed", MIXED)
    said = rig.order("mixed")
    assert rig.names("mixed") == set(MIXED)
    assert "is left at" not in said


def test_what_is_chosen_by_itself(rig: Rig) -> None:
    """By DNS where there is a zone for the name, and over TCP for the address."""
    rig.configure("mixed2", {"*.one.test": "", "f.two.test": "", "127.0.0.1": ""})
    rig.order("mixed2")
    assert rig.names("mixed2") == {"*.one.test", "f.two.test", "127.0.0.1"}


def test_lasting_record(rig: Rig) -> None:
    rig.configure("mixed3", {"p.one.test": "dns-persist-01", "*.p.one.test": "dns-persist-01"})
    rig.order("mixed3")
    record = rig.machine.run(["dig", "+short", f"@{SERVER}", "_validation-persist.p.one.test", "TXT"]).stdout
    assert record.startswith('"pebble.test; accounturi=')
    assert record.rstrip().endswith('; policy=wildcard"')
    assert rig.names("mixed3") == {"p.one.test", "*.p.one.test"}


def test_record_is_put_away_after_sigkill(rig: Rig) -> None:
    """acmed is killed while it waits for the name servers, and the job goes on."""
    machine, name = rig.machine, "_acme-challenge.k.one.test"
    rig.configure("mixed4", {"k.one.test": "dns-01"})
    slow = CONFIGURATION.replace('key = "acmed"', 'key = "acmed"\npropagation = 5')
    machine.write("/etc/acmed/acmed.toml.d/zones.toml", slow)
    look = ["dig", "+short", f"@{SERVER}", name, "TXT"]
    order = machine.popen(["acmectl", "order", "--name", "mixed4"])
    machine.wait_until("the record to be there", lambda: machine.run(look).stdout)
    machine.run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "acmed.service"])
    words, _ = order.communicate(timeout=90)
    assert order.returncode == 0, words
    journal = machine.run(["journalctl", "-q", "-o", "cat", "-u", "acme-dnsd", "ACME_CERTIFICATE=mixed4"]).stdout
    changes = [line.split()[0] for line in journal.splitlines() if name in line]
    assert changes == ["Added", "Removed", "Added", "Removed"]
