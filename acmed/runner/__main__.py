# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in a transient unit that acme-privd starts. The order has the program's argv, environment (beside what systemd
gives), and input, which is null for none.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO

from acmed import oneshot

_MAX_LINE = 4096  # bytes; a longer one is taken for several
_MAX_WORDS = 500  # characters
_LAST_WORDS = 0.5  # seconds: another process may hold the pipe open


class Listener(threading.Thread):
    """Passes on what a program writes to standard error, and remembers the last line of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.last = ""
        self._stream = stream

    def run(self) -> None:
        while line := self._stream.readline(_MAX_LINE):
            with suppress(OSError):
                os.write(sys.stderr.fileno(), line)
            if words := " ".join(line.decode("utf-8", "replace").split()):
                self.last = words[:_MAX_WORDS]


def run(argv: list[str], environment: dict[str, str], content: str | None) -> str:
    """What went wrong, or an empty string."""
    inherited = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    try:
        process = subprocess.Popen(
            argv,
            env=inherited | environment,
            stdin=subprocess.DEVNULL if content is None else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        return f"it cannot be run: {error.strerror}"
    assert process.stderr
    listener = Listener(process.stderr)
    listener.start()
    if process.stdin:
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write((content or "").encode())
    status = process.wait()
    listener.join(_LAST_WORDS)
    if status == 0:
        return ""
    how = f"exit status {status}" if status > 0 else f"killed by {signal.Signals(-status).name}"
    return f"{how}: {listener.last}" if listener.last else f"{how}, without a word on standard error"


def main() -> None:
    order = oneshot.order()
    # PID 1 ends all of the unit at its timeout; what the program said is told all the same.
    signal.signal(signal.SIGTERM, lambda *_: None)
    if problem := run(order["argv"], order["environment"], order["input"]):
        oneshot.fail(problem)


if __name__ == "__main__":
    main()
