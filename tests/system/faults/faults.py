# SPDX-License-Identifier: LGPL-2.1-or-later
"""The proxy as a test uses it."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine import Machine
from tests.system.faults.proxy import LOG, PLAN, PORT

TOP = "/usr/lib/faults"
UNIT = "faults.service"
HERE = Path(__file__).parent


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

    def requests(self) -> list[dict[str, Any]]:
        """All since then, in the order in which they were done with."""
        lines = self.machine.run(["cat", str(LOG)], check=False).stdout.splitlines()
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def faults(machine: Machine) -> Iterator[Faults]:
    """The proxy in front of the Pebble of this machine."""
    for path in (HERE / "proxy.py", HERE.parent / "gate" / "proxy.py"):
        machine.put(path, f"{TOP}/tests/system/{path.parent.name}/{path.name}")
    options = ["--quiet", "--collect", f"--unit={UNIT}", "--property=RuntimeDirectory=faults"]
    options += [f"--working-directory={TOP}"]
    machine.run(["systemd-run", *options, "--", "/usr/bin/python3", "-m", "tests.system.faults.proxy"])
    probe = ["curl", "--silent", "--output", "/dev/null", "--cacert", "/etc/pebble/ca.pem", Faults.directory]
    machine.wait_until("the proxy to answer", lambda: machine.run(probe, check=False).returncode == 0)
    try:
        yield Faults(machine)
    finally:
        machine.run(["systemctl", "stop", UNIT])
        machine.run(["rm", "-r", TOP])
