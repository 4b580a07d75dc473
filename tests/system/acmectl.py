# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl(1) as somebody types it, or as a script runs it."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.machine import Machine


@dataclass(frozen=True)
class Acmectl:
    """Run by root, or by `user`."""

    machine: Machine
    user: str | None = None

    def run(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """A run that is to end with this code."""
        result = self.machine.run(["acmectl", *words], user=self.user, check=False)
        assert result.returncode == code, f"acmectl {' '.join(words)}: {result}"
        return result

    def text(self, *words: str, code: int = 0) -> str:
        """What it prints."""
        return self.run(*words, code=code).stdout

    def error(self, *words: str, code: int) -> str:
        """What it complains about; it prints nothing else."""
        result = self.run(*words, code=code)
        assert result.stdout == ""
        return result.stderr

    def json(self, *words: str, code: int = 0) -> Any:
        """The one line of JSON that it prints with --json; nothing else is said."""
        result = self.run(*words, "--json", code=code)
        assert result.stdout.count("\n") == 1
        assert result.stderr == "" or code != 0
        return json.loads(result.stdout)


@dataclass(frozen=True)
class Running:
    """acmectl at work."""

    machine: Machine
    process: "subprocess.Popen[str]"
    pid: str
    """In the machine."""

    def line(self) -> str:
        """The next line that it prints, also to standard error; empty when it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.machine.run(["kill", "-INT", self.pid])

    def end(self, timeout: float = 60) -> tuple[int, str]:
        """Waits until it has ended; its exit code, and the rest of what it printed."""
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output


@contextlib.contextmanager
def running(machine: Machine, *words: str) -> Iterator[Running]:
    """acmectl, started by root; it is killed at the end if it still runs."""
    process = machine.popen(["sh", "-c", 'echo $$; exec acmectl "$@"', "sh", *words])
    assert process.stdout
    try:
        yield Running(machine, process, process.stdout.readline().strip())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
