# SPDX-License-Identifier: LGPL-2.1-or-later
"""From inside each unit: what it can do is what its row in docs/architecture.md says, and nothing else.

A program takes the place of the unit's own and tries everything that probes.py knows; the rest of the unit stays as it
is. What a unit is not allowed to do must fail in it, and is first shown to work for root outside any sandbox.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.machine import Machine
from tests.system.sandbox import probes

FOLDER = Path(probes.__file__).parent
TARGET = "/usr/lib/sandbox-probe"
MARK = probes.MARK
DENIALS = {"EACCES", "EAFNOSUPPORT", "ECONNREFUSED", "ENOENT", "EPERM", "EROFS"}

# What everybody on the machine may read.
PUBLIC = ["read a certificate", "read the configuration", "read tokens", "read answers for port 443"]
INTERNET = [
    "open a socket of AF_INET",
    "open a socket of AF_INET6",
    "connect over IPv4",
    "connect over IPv6",
    "send over UDP",
    "reach an abstract socket of the host",
]
# journald needs it, or the bus; with a private network, none of another host or namespace is reached.
LOCAL = ["open a socket of AF_UNIX", "execute python3"]
# root is root: it may reach and see what is root's, where the unit does not hide it.
ROOT = ["see other processes", "signal a process of root's"]


@dataclass(frozen=True)
class Row:
    """What a unit may do. exposure: what systemd-analyze security may come to at most."""

    allowed: list[str]
    user: str
    exposure: float
    capabilities: set[str] = field(default_factory=set)
    changes: str = ""
    """For the drop-in: what the probes need to run at all."""


# Nothing in these units but one program that is not Python.
INTERPRETER = "ExecPaths=/usr/bin/python3\nMemoryMax=128M\nTasksMax=8\n"

UNITS = {
    "acmed": Row(
        [
            *PUBLIC,
            *LOCAL,
            "read acmed's state",
            "write to /run/acmed/http01",
            "write to /run/acmed/alpn01",
            "write to /var/lib/acmed",
            "reach the system bus",
            "reach priv.sock",
            "reach client.sock",
            "reach dns.sock",
            "reach a socket that is open to all",
        ],
        "acmed",
        0.4,
    ),
    "acme-keyd": Row(
        [
            *LOCAL,
            "read the configuration",
            "read a credential of its own",
            "read permits",
            "write to /run/acme-keyd",
            *(f"reach the key store {kind}.sock" for kind in probes.STORES),
        ],
        "dynamic",
        0.4,
    ),
    "acme-clientd": Row(
        [
            *LOCAL,
            *INTERNET,
            "read the configuration",
            "read an order's state",
            "write to /var/lib/acme-clientd",
            "reach key.sock",
            "reach a socket that is open to all",
        ],
        "dynamic",
        1.3,
    ),
    "acme-dnsd": Row([*LOCAL, *INTERNET, "read the configuration"], "dynamic", 1.3),
    "acme-privd": Row(
        [
            *PUBLIC,
            *LOCAL,
            *ROOT,
            "read a sealed account key",
            "read a private key that is not installed yet",
            "read the private key of a certificate",
            "read the journal",
            "write to /etc/acmed",
            "write to /etc/acmed/acmed.toml.d",
            "write to /etc/acmed/ca",
            "write to /etc/acmed/certificates.d",
            "write to /etc/credstore.encrypted/acmed.accounts",
            "write to /etc/credstore.encrypted/acmed.next-accounts",
            "write to /etc/credstore.encrypted/acmed.bindings",
            "write to /var/lib/acme",
            "write to /var/lib/acme-privd",
            "reach the system bus",
            "reach PID 1",
            "reach key.sock",
            "reach key-permit.sock",
            "reach priv.sock",
            "reach verify.sock",
            "reach a socket that is open to all",
            "give a file away",
        ],
        "root",
        1.2,
        {"CAP_CHOWN"},
    ),
    "acme-store-file": Row(
        [*LOCAL, *ROOT, "read the configuration", "execute systemd-ask-password", "write to /run/systemd/ask-password"],
        "root",
        0.7,
    ),
    "acme-store-gpg": Row([*LOCAL, "read the configuration", "write to /var/lib/acme-gpg"], "acme-gpg", 0.4),
    "acme-store-pkcs11": Row([*LOCAL, "read the configuration"], "dynamic", 0.4),
    "acme-store-ssh": Row([*LOCAL, *INTERNET, "read the configuration"], "acme-ssh", 1.3),
    "acme-store-unix": Row(
        [
            *LOCAL,
            *ROOT,
            "read the configuration",
            "read a home directory",
            "read root's home directory",
            "reach a socket that is open to all",
        ],
        "root",
        1.3,
        {"CAP_DAC_OVERRIDE"},
    ),
    "acme-verify": Row(LOCAL, "dynamic", 0.4),
    "acme-http01": Row(["execute python3", "read tokens", "read the configuration"], "dynamic", 0.4),
    "acme-alpn01": Row(
        ["execute python3", "read answers for port 443", "read the configuration"],
        "dynamic",
        0.4,
    ),
    "acme-renew": Row(
        [*LOCAL, "read the configuration", "reach the system bus", "reach a socket that is open to all"], "acmed", 0.4
    ),
    "acme-firewall@80": Row(
        [
            *LOCAL,
            "read the configuration",
            "reach an abstract socket of the host",
            "open a socket of AF_NETLINK",
            "execute nft",
        ],
        "dynamic",
        1.3,
        {"CAP_NET_ADMIN"},
    ),
    "acme-firewall-firewalld@80": Row([*LOCAL, *ROOT, "read the configuration", "reach the system bus"], "root", 0.7),
    "acme-firewall-iptables@80": Row(
        [
            *LOCAL,
            *ROOT,
            *INTERNET,
            "listen on a port",
            "read the configuration",
            "execute iptables-legacy",
        ],
        "root",
        1.9,
        {"CAP_NET_ADMIN", "CAP_NET_RAW"},
    ),
    "acme-credential-key": Row(
        [
            *ROOT,
            "execute python3",
            "execute systemd-creds",
            "read the configuration",
            "read the key that credentials are sealed with",
            "write to /var/lib/systemd",
        ],
        "root",
        0.7,
        changes=INTERPRETER,
    ),
    "acme-http01-lease@80": Row(["execute python3", "execute sleep"], "dynamic", 0.4, changes=INTERPRETER),
    "acme-http01-proxied-lease@80": Row(["execute python3", "execute sleep"], "dynamic", 0.4, changes=INTERPRETER),
    "acme-alpn01-lease@80": Row(["execute python3", "execute sleep"], "dynamic", 0.4, changes=INTERPRETER),
}

PREPARE = f"""
set -eu
systemctl start acmed.service acme-clientd.service acme-keyd.service  # they make their directories
systemctl stop acmed.service acme-clientd.service acme-keyd.service acme-privd.service acme-verify.service
for directory in /var/lib/acme-privd /var/lib/acme-clientd /var/lib/acmed /run/acme-keyd /run/acmed/http01 \\
        /run/acmed/alpn01 \\
        /home /root /tmp /var/tmp /dev/shm; do
    echo secret >$directory/{MARK}
    chmod 644 $directory/{MARK}
done
touch /dev/mqueue/{MARK}
mkdir /var/lib/acme/{probes.NAME}
echo public >/var/lib/acme/{probes.NAME}/cert.pem
echo secret >/var/lib/acme/{probes.NAME}/privkey.pem
chown root:www-data /var/lib/acme/{probes.NAME}/privkey.pem
chmod 640 /var/lib/acme/{probes.NAME}/privkey.pem
test -e /var/lib/systemd/credential.secret || systemd-creds setup
echo secret | systemd-creds encrypt --name=account_{MARK} - /etc/credstore.encrypted/acmed.accounts/{MARK}
mkdir {TARGET}/out
systemd-run --quiet --unit={MARK} --property=DynamicUser=yes --property=LoadCredential=secret:/etc/hostname \\
    /usr/bin/sleep infinity
systemd-run --quiet --unit={MARK}-listener /usr/bin/python3 -I {TARGET}/listener.py \\
    {probes.OTHERS_SOCKET} {MARK} {probes.TCP_PORT} {probes.UDP_PORT}
"""
CLEAN = f"""
systemctl stop {MARK}.service {MARK}-listener.service acmed.service acme-clientd.service acme-keyd.service
for directory in /var/lib/acme-privd /var/lib/acme-clientd /var/lib/acmed /run/acme-keyd /run/acmed/http01 \\
        /run/acmed/alpn01 \\
        /home /root /tmp /var/tmp /dev/shm /dev/mqueue /etc/credstore.encrypted/acmed.accounts; do
    rm $directory/{MARK}
done
rm -r /var/lib/acme/{probes.NAME} {probes.OTHERS_SOCKET} {TARGET}
"""


def drop_in(unit: str, row: Row, command: str) -> str:
    return f"""
[Unit]
ConditionPathExists=
[Service]
Type=oneshot
RemainAfterExit=no
Restart=no
ExecCondition=
ExecStart=
ExecStop=
ExecStopPost=
ExecStart={command}
StandardOutput=truncate:{TARGET}/out/{unit}
{row.changes}"""


@dataclass
class Results:
    """What came of the probes, in each unit of a machine and, as "control", outside of all."""

    machine: Machine
    found: dict[str, dict[str, dict[str, str]]]

    def done(self, unit: str) -> set[str]:
        return {probe for probe, outcome in self.found[unit]["outcomes"].items() if outcome == "done"}

    def refused(self, unit: str) -> dict[str, str]:
        return {probe: outcome for probe, outcome in self.found[unit]["outcomes"].items() if outcome != "done"}


@pytest.fixture(scope="module", params=["machine", "bookworm"])
def results(request: pytest.FixtureRequest) -> Iterator[Results]:
    machine: Machine = request.getfixturevalue(request.param)
    for program in ("probes.py", "listener.py"):
        machine.put(FOLDER / program, f"{TARGET}/{program}")
    machine.run(["sh", "-c", PREPARE])
    listener = f"{MARK}-listener.service"
    try:
        machine.wait_until("the listener", lambda: "ready" in machine.journal(listener))
        pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", listener]).stdout.strip()
        command = f"/usr/bin/python3 -I {TARGET}/probes.py {pid}"
        # A mount namespace of its own, as units have: it mounts something.
        control = machine.run(["unshare", "--mount", *command.split()]).stdout
        found: dict[str, Any] = {"control": json.loads(control)}
        for unit, row in UNITS.items():
            found[unit] = probe(machine, unit, row, command)
        yield Results(machine, found)
    finally:
        machine.run(["sh", "-c", CLEAN], check=False)


def probe(machine: Machine, unit: str, row: Row, command: str) -> dict[str, Any]:
    path = f"/run/systemd/system/{unit.replace('@80', '@')}.service.d/probe.conf"
    machine.write(path, drop_in(unit, row, command))
    try:
        machine.run(["systemctl", "daemon-reload"])
        # An earlier test may have left the daemon running for a while.
        machine.run(["systemctl", "restart", f"{unit}.service"])
    finally:
        machine.run(["sh", "-c", f"rm -r $(dirname {path}) && systemctl daemon-reload"])
    said = machine.read(f"{TARGET}/out/{unit}")
    assert said, f"{unit} said nothing"
    answer: dict[str, Any] = json.loads(said)
    return answer


def test_outside_of_a_sandbox_everything_works(results: Results) -> None:
    """But one: outside of a unit there are no credentials."""
    assert results.refused("control") == {"read a credential of its own": "ENOENT"}


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_unit_can_do(results: Results, unit: str) -> None:
    assert sorted(results.done(unit)) == sorted(UNITS[unit].allowed)


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_unit_cannot_do_is_denied(results: Results, unit: str) -> None:
    """It was refused; it did not fail for another reason."""
    assert {probe: error for probe, error in results.refused(unit).items() if error not in DENIALS} == {}


@pytest.mark.parametrize("unit", UNITS)
def test_who_a_unit_is(results: Results, unit: str) -> None:
    status = results.found[unit]["status"]
    row = UNITS[unit]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    numbers = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
    expected = sum(1 << numbers[name] for name in row.capabilities)
    for kind in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[kind], 16) == expected, kind
    for kind in ("CapInh", "CapAmb"):
        assert int(status[kind], 16) in (0, expected), kind
    uids = {int(uid) for uid in status["Uid"].split()}
    if row.user == "dynamic":
        assert all(61184 <= uid <= 65519 for uid in uids), "see systemd.exec(5), DynamicUser="
    else:
        of = results.machine.run(["id", "--user", row.user]).stdout
        assert uids == {int(of)}


@pytest.mark.parametrize("unit", UNITS)
def test_exposure(results: Results, unit: str) -> None:
    answer = results.machine.run(["systemd-analyze", "security", "--no-pager", f"{unit}.service"]).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", answer)
    assert found, answer
    assert float(found[1]) <= UNITS[unit].exposure


def test_every_unit_has_a_row(results: Results) -> None:
    listing = results.machine.run(["dpkg", "--listfiles", "acmed"]).stdout
    installed = set(re.findall(r"^/usr/lib/systemd/system/(\S+)\.service$", listing, re.MULTILINE))
    assert {unit.replace("@80", "@") for unit in UNITS} == installed
