# SPDX-License-Identifier: LGPL-2.1-or-later
"""The proxy as a test uses it."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.machine import Machine
from tests.system.faults.proxy import LOG, PLAN, PORT
from tests.system.proxy.running import running


@dataclass
class Faults:
    """All that goes from acme-clientd to the CA passes here, where the account's directory is this one."""

    machine: Machine

    origin = f"https://localhost:{PORT}"
    directory = f"{origin}/dir"

    def plan(self, *faults: dict[str, Any]) -> None:
        """From now on, do this; see proxy.py."""
        self.machine.write(f"{PLAN}.new", json.dumps(faults))
        self.machine.run(["mv", f"{PLAN}.new", str(PLAN)])

    def forget(self) -> None:
        """What was asked until now counts no more."""
        self.machine.run(["rm", "-f", str(LOG)])

    def forget_directory(self) -> None:
        """acme-clientd has none from an earlier run."""
        note = hashlib.sha256(self.directory.encode()).hexdigest()
        self.machine.run(["rm", f"/var/lib/private/acme-clientd/notes/{note}.json"])

    def requests(self) -> list[dict[str, Any]]:
        """All since then, in the order in which they were done with."""
        lines = self.machine.run(["cat", str(LOG)], check=False).stdout.splitlines()
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def faults(machine: Machine) -> Iterator[Faults]:
    """The proxy in front of the Pebble of this machine."""
    with running(machine, "faults", Faults.directory):
        yield Faults(machine)
