# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one run of a client costs, all of its processes together: they are the ones in bench.slice.

The slice's control group counts the CPU time, also of processes that have ended. It cannot count the memory where the
host still has the older hierarchy of the memory controller, so memory is the sum of what /proc says of each process,
looked at often: PSS, in which a page that several processes share is counted once.
"""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.peers import ROOT, Peer
from tests.machine import Machine

SLICE = "bench.slice"
UNIT = "bench-run.service"
OUTPUT = "/run/bench-output"
CURSOR = "/run/bench-cursor"
TIMEOUT = 900  # seconds, for one run
CA_UNITS = ("pebble.service", "pebble-challtestsrv.service")


class RunFailed(Exception):
    """A client said that it failed, or there was no good certificate; the message is what it said last."""


@dataclass(frozen=True)
class Run:
    """What a run cost. Times in seconds, memory in bytes."""

    wall: float
    """From the start of the command to its end."""
    cpu: float
    """User and system, of all processes of the client."""
    machine_cpu: float
    """Of the whole machine without the CA: PID 1, journal, bus and web server too."""
    memory: int
    """The peak, or 0 where it was not looked for."""
    posts: int
    """Requests to the CA that were signed."""
    gets: int
    """Those that were not."""

    @property
    def requests(self) -> int:
        return self.posts + self.gets

    def __str__(self) -> str:
        return f"{self.wall:.2f} s, CPU {self.cpu:.2f} s, {self.memory >> 20} MiB, {self.requests} requests"


@dataclass(frozen=True)
class Rest:
    """What stays running after a run."""

    at_once: int
    """Bytes."""
    lasts: float
    """Seconds until all of it has ended."""
    stays: int
    """Bytes of what does not end."""

    def __str__(self) -> str:
        return f"{self.at_once >> 20} MiB for {self.lasts:.1f} s, then {self.stays >> 20} MiB"


class Bench:
    """A machine to measure in."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._groups = Path(f"/proc/{machine.pid}/root/sys/fs/cgroup")
        self._group = self._groups / SLICE
        machine.run(["systemctl", "start", SLICE])

    def run(self, peer: Peer, script: str, names: Sequence[str], look_every: float = 0) -> Run:
        """Run one of the client's scripts, everything else being at rest; look at its memory every so many seconds.

        What stays running is ended then. Raises RunFailed.
        """
        self._requests()
        before = self._cpu()
        try:
            with PeakMemory(self._group, look_every) as memory:
                wall = self._start(script, names)
        finally:
            self._stop(peer)
        after = self._cpu()
        posts, gets = self._requests()
        return Run(wall, after[0] - before[0], after[1] - before[1], memory.peak, posts, gets)

    def check(self, peer: Peer, names: Sequence[str]) -> None:
        """Raise RunFailed unless each name has a certificate that verifies."""
        for name in names:
            path = peer.certificate.format(name=name)
            verify = ["openssl", "verify", "-CAfile", ROOT, "-untrusted", path, "-verify_hostname", name, path]
            result = self._machine.run(verify, check=False)
            if result.returncode != 0:
                raise RunFailed(f"{path}: {result.stderr}")

    def rest(self, script: str, names: Sequence[str]) -> Rest:
        """Run a script, leave alone what stays running then, and look what becomes of it."""
        self._start(script, names)
        began, at_once = time.monotonic(), resident(self._group)
        with suppress(TimeoutError):
            self._machine.wait_until("everything to end", lambda: not processes(self._group), timeout=120)
        return Rest(at_once, time.monotonic() - began, resident(self._group))

    def _stop(self, peer: Peer) -> None:
        if peer.stop:
            self._machine.run(["sh", "-c", peer.stop])
        self._machine.wait_until(f"{peer.name} to end", lambda: not processes(self._group))

    def _start(self, script: str, names: Sequence[str]) -> float:
        """Run a script in a unit of its own and answer with the seconds that it took, as PID 1 saw it."""
        options = [f"--unit={UNIT}", f"--slice={SLICE}", "--service-type=oneshot", "--remain-after-exit"]
        options += ["--expand-environment=no"]
        options += [f"--property=StandardOutput=truncate:{OUTPUT}", "--setenv=HOME=/root"]
        command = ["systemd-run", "--quiet", *options, "--", "sh", "-c", script, "sh", *names]
        result = self._machine.run(command, check=False, timeout=TIMEOUT)
        try:
            if result.returncode != 0:
                raise RunFailed(self._machine.run(["tail", "-n", "20", OUTPUT]).stdout or result.stderr)
            stamps = ["ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic"]
            shown = self._machine.run(["systemctl", "show", UNIT, *(f"--property={stamp}" for stamp in stamps)]).stdout
            values = dict(line.split("=") for line in shown.splitlines())
            return (int(values[stamps[1]]) - int(values[stamps[0]])) / 1e6
        finally:
            self._machine.run(["systemctl", "stop", UNIT], check=False)
            self._machine.run(["systemctl", "reset-failed", UNIT], check=False)

    def _cpu(self) -> tuple[float, float]:
        """CPU time so far: of the slice, and of the machine without the CA."""
        authority = sum(cpu_time(self._groups / "system.slice" / unit) for unit in CA_UNITS)
        return cpu_time(self._group), cpu_time(self._groups) - authority

    def _requests(self) -> tuple[int, int]:
        """The requests in the CA's log since the last time: POST, and others."""
        options = ["--unit=pebble.service", "--output=cat", f"--cursor-file={CURSOR}"]
        self._machine.run(["journalctl", "--quiet", "--sync"])
        log = self._machine.run(["journalctl", "--quiet", *options]).stdout
        requests = [line for line in log.splitlines() if line.endswith("-> calling handler()")]
        posts = sum(" POST " in line for line in requests)
        return posts, len(requests) - posts


class PeakMemory:
    """Looks, while the context lasts, how much the processes of a control group have; not at all if `every` is 0."""

    def __init__(self, group: Path, every: float) -> None:
        self.peak = 0
        self._group = group
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        if self._every:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._every:
            self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._every):
            self.peak = max(self.peak, resident(self._group))


def processes(group: Path) -> list[int]:
    """The processes in a control group and below."""
    found: list[int] = []
    for directory, _, _ in os.walk(group):
        with suppress(OSError):
            found += map(int, Path(directory, "cgroup.procs").read_text().split())
    return found


def resident(group: Path) -> int:
    """The bytes that the processes in a control group and below have."""
    total = 0
    for pid in processes(group):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def cpu_time(group: Path) -> float:
    """The seconds of CPU time that were ever used in a control group."""
    usage = (group / "cpu.stat").read_text().splitlines()[0]
    return int(usage.removeprefix("usage_usec ")) / 1e6
