# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases as acme-privd takes them, and the units that they want."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.machine import Machine

RESPONDER = "acme-http01.service"
SOCKET = "acme-http01.socket"
FIREWALLS = (
    "acme-firewall@80.service",
    "acme-firewall-firewalld@80.service",
    "acme-firewall-iptables@80.service",
)
ALPN_RESPONDER = "acme-alpn01.service"
ALPN_SOCKET = "acme-alpn01.socket"
ALPN_LEASE = "acme-alpn01-lease"
TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CONTENT = f"{TOKEN}.LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
PATH = f"/.well-known/acme-challenge/{TOKEN}"
ANSWER = f"200 {CONTENT}"

# In the place of acmed, which would end when it is idle: a lease ends with it.
STAND_IN = """
[Unit]
StartLimitIntervalSec=0
[Service]
Type=exec
ExecStart=
ExecStart=/usr/bin/sleep infinity
ExecPaths=/usr/bin/sleep
Restart=no
"""
STAND_IN_PATH = "/run/systemd/system/acmed.service.d/50-stand-in.conf"


@dataclass
class Lease:
    """acme-http01-lease@ID, or the proxied one, or that for port 443."""

    machine: Machine
    id: str = "7"
    kind: str = "acme-http01-lease"

    @property
    def unit(self) -> str:
        return f"{self.kind}@{self.id}.service"

    def start(self) -> None:
        """Returns when the port is open, or cannot be opened."""
        self.machine.run(["systemctl", "start", self.unit])

    def stop(self) -> None:
        """Returns when the lease has ended; what it wanted is stopped soon after, if it was the last one."""
        self.machine.run(["systemctl", "stop", self.unit])

    def kill(self, unit: str) -> None:
        self.machine.run(["systemctl", "kill", "--signal=KILL", unit])


def state(machine: Machine, unit: str) -> str:
    return machine.run(["systemctl", "show", "--property=ActiveState", "--value", unit]).stdout.strip()


def wait_closed(machine: Machine) -> None:
    """Waits until no unit holds a port open any more, and looks whether it is closed."""
    units = [SOCKET, "acme-http01-proxied.socket", RESPONDER, ALPN_SOCKET, ALPN_RESPONDER, *FIREWALLS]
    units += [unit.replace("@80", "@443") for unit in FIREWALLS]
    show = ["systemctl", "show", "--property=ActiveState", "--value", *units]
    machine.wait_until("the port to be closed", lambda: set(machine.run(show).stdout.split()) <= {"inactive", "failed"})
    assert machine.run(["ss", "--no-header", "-ltn", "sport = :80 or sport = :443"]).stdout == ""
    for command in (["nft", "list", "ruleset"], ["iptables-legacy", "-S"], ["ip6tables-legacy", "-S"]):
        assert "acmed:" not in machine.run(command, check=False).stdout


@contextlib.contextmanager
def pending_challenge(machine: Machine) -> Iterator[None]:
    """A token is there, and acmed runs; at the end all is closed again, and reset."""
    others = [unit for unit in ("nginx.service", "apache2.service") if state(machine, unit) == "active"]
    machine.run(["systemctl", "stop", *others, "acmed.service"])
    machine.write(STAND_IN_PATH, STAND_IN)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "start", "acmed.service"])
    machine.write(f"/run/acmed/http01/{TOKEN}", CONTENT)
    try:
        yield
    finally:
        machine.run(["systemctl", "stop", "acme-http01-lease@*", "acme-http01-proxied-lease@*", f"{ALPN_LEASE}@*"])
        machine.run(["systemctl", "stop", "acmed.service"])
        wait_closed(machine)
        machine.run(["rm", "--", f"/run/acmed/http01/{TOKEN}", STAND_IN_PATH])
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["systemctl", "reset-failed"])
        machine.run(["systemctl", "start", "--", *others], check=bool(others))
