# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine itself: it is up, clean, has the package, and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.machine import Machine, Pebble
from tests.machine.scratch import RUN


@pytest.fixture(params=["machine", "bookworm"])
def release(request: pytest.FixtureRequest) -> Machine:
    """Each release that is supported."""
    machine: Machine = request.getfixturevalue(request.param)
    return machine


def test_machine_is_up_and_nothing_failed(release: Machine) -> None:
    assert release.run(["systemctl", "--failed", "--no-legend"]).stdout == ""
    assert release.run(["systemctl", "is-system-running"]).stdout == "running\n"


def test_package_is_installed(release: Machine) -> None:
    status = release.run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", "acmed"]).stdout
    assert status == "installed"
    assert release.run(["dpkg", "--audit"]).stdout == ""
    assert release.run(["dpkg", "--verify", "acmed"]).stdout == ""


def test_pebble_answers_in_the_machine(machine: Machine, pebble: Pebble) -> None:
    directory = machine.run(["curl", "--silent", "--fail", "--cacert", pebble.ca_file, pebble.directory]).stdout
    assert '"newOrder"' in directory


def test_files_outlive_a_restart_and_nothing_outlives_the_machine() -> None:
    with Machine() as machine:
        name, first = machine.name, machine.pid
        machine.write("/var/lib/kept", "kept\n", mode=0o600)
        machine.popen(["sleep", "infinity"])
        machine.reboot()
        assert machine.pid != first
        assert machine.read("/var/lib/kept") == "kept\n"
        assert machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
        last = machine.pid
    assert not (RUN / name).exists()
    assert name not in Path("/proc/self/mountinfo").read_text()
    assert not Path(f"/proc/{last}").exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{name}"))
