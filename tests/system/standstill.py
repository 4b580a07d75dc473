# SPDX-License-Identifier: LGPL-2.1-or-later
"""What keeps a job where it is for as long as a test needs it there."""

import contextlib
from collections.abc import Iterator

from tests.machine import Machine, Pebble

# Packets to it leave by a wire that nobody is at the end of.
SILENT_ADDRESS = "198.51.100.99"
WIRE = f"""
ip link add silent type veth peer name nobody
ip address add 198.51.100.1/24 dev silent
ip link set silent up
ip link set nobody up
ip neighbour add {SILENT_ADDRESS} lladdr 02:00:00:00:00:99 dev silent
"""


@contextlib.contextmanager
def frozen_ca(machine: Machine) -> Iterator[None]:
    """The CA takes connections inside, and says nothing; it answers afterwards."""
    machine.run(["systemctl", "kill", "--signal=STOP", "pebble.service"])
    try:
        yield
    finally:
        machine.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])


@contextlib.contextmanager
def silent_host(machine: Machine, pebble: Pebble, name: str) -> Iterator[None]:
    """A name whose address the CA connects to, and never gets an answer from."""
    machine.run(["sh", "-e"], input=WIRE)
    pebble.dns("add-a", host=f"{name}.", addresses=[SILENT_ADDRESS])
    try:
        yield
    finally:
        pebble.dns("clear-a", host=f"{name}.")
        machine.run(["ip", "link", "delete", "silent"])
