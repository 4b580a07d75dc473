# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd as a process that has loaded its modules before: most of its time goes there, and tests start many."""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from tests.preloaded import preloaded
from tests.unit.keyd.far import anybody

_DEADLINE = 60.0  # seconds; only a test that fails comes near it


class Program:
    """One, with pipes for its standard input, output and error. What subprocess.Popen has too is named as there."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], directory: Path, stdio: int | None = None
    ) -> None:
        """stdio: a socket for standard input and output, instead of pipes."""
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        errors, its_errors = os.pipe()
        self.stderr: IO[bytes] | None = os.fdopen(errors, "rb")
        if stdio is None:
            its_input, ours = os.pipe()
            self.stdin = os.fdopen(ours, "wb", buffering=0)
            ours, its_output = os.pipe()
            self.stdout = os.fdopen(ours, "rb")
        else:
            its_input, its_output = os.dup(stdio), os.dup(stdio)
        streams: tuple[Connection, ...] = tuple(map(Connection, (its_input, its_output, its_errors)))
        arguments = (list(words), dict(environment), str(directory), streams)
        self._process = preloaded().Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        for stream in streams:
            stream.close()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float = _DEADLINE) -> int:
        self._process.join(seconds)
        assert self.returncode is not None, "it goes on"
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, said: bytes = b"") -> tuple[bytes, bytes]:
        """Says that, which is less than a pipe holds, hears it out until it has ended, and closes the pipes."""
        if self.stdin:
            with suppress(BrokenPipeError), self.stdin:
                self.stdin.write(said)
        deadline = time.monotonic() + _DEADLINE
        heard = {pipe.fileno(): b"" for pipe in (self.stdout, self.stderr) if pipe}
        going_on = list(heard)
        while going_on:
            ready, _, _ = select.select(going_on, [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "it is silent"
            for number in ready:
                more = os.read(number, 1 << 16)
                heard[number] += more
                if not more:
                    going_on.remove(number)
        self.wait()
        out, errors = (heard[pipe.fileno()] if pipe else b"" for pipe in (self.stdout, self.stderr))
        self.close()
        return out, errors

    def close(self) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe:
                pipe.close()


@contextmanager
def ending(program: Program) -> Iterator[Program]:
    """It is killed where it is there still."""
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        program.close()


def _run(words: list[str], environment: dict[str, str], directory: str, streams: tuple[Connection, ...]) -> None:
    """In the new process."""
    os.setsid()  # without the terminal that we may have
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.argv[1:] = words
    anybody.main()
