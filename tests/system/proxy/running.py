# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy as a test runs it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.machine import Machine, Pebble

HERE = Path(__file__).parent


@contextlib.contextmanager
def running(machine: Machine, name: str, directory: str, port: int = Pebble.port) -> Iterator[None]:
    """proxy.py of the folder of that name beside this one, in front of the Pebble that has that port. directory: the
    URL by which it is asked whether it answers. It has /run/NAME to itself.
    """
    top, unit = f"/usr/lib/{name}", f"{name}.service"
    for path in (HERE / "passing.py", HERE.parent / name / "proxy.py"):
        machine.put(path, f"{top}/tests/system/{path.parent.name}/{path.name}")
    options = ["--quiet", "--collect", f"--unit={unit}", f"--property=RuntimeDirectory={name}"]
    options += [f"--working-directory={top}"]
    program = ["/usr/bin/python3", "-m", f"tests.system.{name}.proxy", str(port)]
    machine.run(["systemd-run", *options, "--", *program])
    probe = ["curl", "--silent", "--output", "/dev/null", "--cacert", "/etc/pebble/ca.pem", directory]
    machine.wait_until(f"{unit} to answer", lambda: machine.run(probe, check=False).returncode == 0)
    try:
        yield
    finally:
        machine.run(["systemctl", "stop", unit])
        machine.run(["rm", "-r", top])
