# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stranger's host: a network namespace in the machine, on the far side of a veth pair."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.machine import Machine

NAMESPACE = "stranger"
ADDRESSES = ("192.0.2.1", "[2001:db8::1]")  # of the machine, as the stranger sees it
HOSTILE = "/run/hostile.py"
UP = """
ip netns add stranger
ip link add host type veth peer name wire netns stranger
ip address add 192.0.2.1/24 dev host
ip address add 2001:db8::1/64 dev host nodad
ip link set host up
ip -n stranger address add 192.0.2.2/24 dev wire
ip -n stranger address add 2001:db8::2/64 dev wire nodad
ip -n stranger link set lo up
ip -n stranger link set wire up
"""


@dataclass
class Stranger:
    """What the CA sees of the machine."""

    machine: Machine

    def get(self, path: str, address: str = ADDRESSES[0]) -> str:
        """The status and the content of an answer, or "no answer"."""
        command = ["curl", "--silent", "--max-time", "20", "--write-out", "\\n%{http_code}"]
        result = self.run([*command, f"http://{address}{path}"])
        content, _, status = result.rpartition("\n")
        return "no answer" if status == "000" else f"{status} {content}"

    def is_shut_out(self) -> bool:
        """Whether no connection to port 80 comes about, at any address. A firewall may drop, so this takes a second."""
        command = ["curl", "--silent", "--parallel", "--max-time", "1", "--write-out", "%{http_code} "]
        targets = [word for address in ADDRESSES for word in ("--output", "/dev/null", f"http://{address}/")]
        return self.run([*command, *targets]).split() == ["000"] * len(ADDRESSES)

    def run(self, argv: list[str], input: str | None = None) -> str:
        """What a command prints that runs on the stranger's host."""
        return self.machine.run(["ip", "netns", "exec", NAMESPACE, *argv], input=input, check=False).stdout


@contextlib.contextmanager
def hostile(machine: Machine, program: str, kind: str) -> Iterator[None]:
    """A program (Python) on the stranger's host, called with kind and the machine's address: it makes its connections,
    says "ready", holds them, and ends when its standard input does.
    """
    machine.write(HOSTILE, program)
    peers = machine.popen(["ip", "netns", "exec", NAMESPACE, "python3", HOSTILE, kind, ADDRESSES[0]])
    try:
        assert peers.stdout
        assert peers.stdout.readline() == "ready\n"
        yield
    finally:
        peers.communicate("")
        machine.run(["rm", HOSTILE])


@contextlib.contextmanager
def stranger(machine: Machine) -> Iterator[Stranger]:
    """The stranger, for a while."""
    machine.run(["sh", "-e"], input=UP)
    try:
        yield Stranger(machine)
    finally:
        machine.run(["ip", "link", "delete", "host"])
        machine.run(["ip", "netns", "delete", NAMESPACE])
