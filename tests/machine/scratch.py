# SPDX-License-Identifier: LGPL-2.1-or-later
"""A writable view of a root tree, and a control group's name, that belong to one process and go away with it.

Below /run/acmed-machine/NAME: `owner` (process id and start time), `disk` (tmpfs: upper and work) and `root`
(the overlay). What a killed process left there is swept when the next one starts.
"""

import atexit
import contextlib
import fcntl
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.machine.cgroup import Cgroup
from tests.machine.signals import exit_on_signals
from tests.machine.waiting import wait_until

RUN = Path("/run/acmed-machine")

_numbers = itertools.count(1)


class Scratch:
    """A root tree that can be written to; the tree below it stays as it was."""

    def __init__(self, tree: Path) -> None:
        exit_on_signals()
        self._owner = os.getpid()
        self.name = f"acmed-{self._owner}-{next(_numbers)}"
        self.directory = RUN / self.name
        self.root = self.directory / "root"
        self.cgroup = Cgroup(self.name)
        RUN.mkdir(exist_ok=True)
        with _locked():
            _sweep()
            self.directory.mkdir()
            (self.directory / "owner").write_text(f"{self._owner} {_start_time(self._owner)}\n")
        atexit.register(self.close)
        try:
            self._mount(tree)
        except BaseException:
            self.close()
            raise

    def _mount(self, tree: Path) -> None:
        disk = self.directory / "disk"
        disk.mkdir()
        self.root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "acmed-machine", str(disk)], check=True)
        (disk / "upper").mkdir()
        (disk / "work").mkdir()
        options = f"lowerdir={tree},upperdir={disk}/upper,workdir={disk}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "acmed-machine", str(self.root)], check=True)

    def close(self) -> None:
        """End every process in it and remove it; does nothing the second time, nor in a forked child."""
        if os.getpid() == self._owner:
            _remove(self.name)
            atexit.unregister(self.close)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    with (RUN / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep() -> None:
    """Remove what processes left that are gone."""
    for owner in RUN.glob("*/owner"):
        pid, start = owner.read_text().split()
        if _start_time(int(pid)) != start:
            _remove(owner.parent.name)


def _remove(name: str) -> None:
    directory = RUN / name
    Cgroup(name).remove()
    wait_until(f"everything below {directory} to be unmounted", lambda: _unmount_below(directory), timeout=10)
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(directory)], check=True)


def _unmount_below(directory: Path) -> bool:
    """Try to unmount what is mounted there, the last first, and say whether nothing is left."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [point for point in (line.split()[4] for line in lines) if Path(point).is_relative_to(directory)]
    attempts = [subprocess.run(["umount", point], capture_output=True, check=False) for point in reversed(mounts)]
    return all(attempt.returncode == 0 for attempt in attempts)


def _start_time(pid: int) -> str | None:
    """When a process started: together with its id, this names it for good."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[19]
