# SPDX-License-Identifier: LGPL-2.1-or-later
"""The gate as a test uses it."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.machine import Machine, Pebble
from tests.system.gate.proxy import HELD, HOLD, LOG, PORT
from tests.system.proxy.running import running


@dataclass
class Gate:
    """All that goes from acme-clientd to the CA passes here, where the account's directory is this one."""

    machine: Machine

    directory = f"https://localhost:{PORT}/dir"

    def hold(self, phase: str, path: str) -> None:
        """From now on, stop each request or answer whose path begins like this."""
        self.machine.run(["rm", "-f", str(HELD)])
        self.machine.write(str(HOLD), f"{phase} {path}")

    def release(self) -> None:
        """Let all pass."""
        self.machine.run(["rm", "-f", str(HOLD)])

    def wait_held(self, count: int = 1) -> None:
        """Returns when so many have been stopped."""
        self.machine.wait_until("the order to be at the gate", lambda: len(self._lines(HELD)) >= count)

    def orders(self, name: str) -> int:
        """How many orders for a name the CA has made."""
        answers = map(json.loads, self._lines(LOG))
        return sum(answer["names"] == [name] and answer["status"] == 201 for answer in answers)

    def _lines(self, path: Path) -> list[str]:
        return self.machine.run(["cat", str(path)], check=False).stdout.splitlines()


@contextlib.contextmanager
def gate(machine: Machine, port: int = Pebble.port) -> Iterator[Gate]:
    """The gate in front of the Pebble of this machine that has that port."""
    with running(machine, "gate", Gate.directory, port):
        yield Gate(machine)
