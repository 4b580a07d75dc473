# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process that has loaded its modules before: most of its time goes there, and tests run it very often.

This is a program too: for each line that it reads it does one run in a process of its own, and prints the exit code.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path


class Preloaded:
    """That program. One run at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )

    async def run(self, words: Sequence[str], environment: Mapping[str, str], out: Path, err: Path) -> int:
        """The exit code; what is printed goes to these files. Nothing can be read from standard input."""
        wanted = {"words": words, "environment": dict(environment), "out": str(out), "err": str(err)}
        try:
            return await asyncio.to_thread(self._ask, json.dumps(wanted))
        except asyncio.CancelledError:
            os.killpg(self._process.pid, signal.SIGKILL)
            preloaded.cache_clear()
            raise

    def _ask(self, line: str) -> int:
        assert self._process.stdin and self._process.stdout
        print(line, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@cache
def preloaded(checkout: Path) -> Preloaded:
    """One for all tests; it ends when its standard input does, with theirs."""
    own = {"PYTHONPATH": str(checkout), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return Preloaded(os.environ | own)


def main() -> None:
    from acmed.ctl.commands import connected  # noqa: F401, PLC0415
    from acmed.ctl.main import main as acmectl  # noqa: PLC0415

    gc.freeze()  # what all runs share is not written to
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if not child:
            os.environ.update(wanted["environment"])
            for number, path in enumerate((os.devnull, wanted["out"], wanted["err"])):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
            sys.argv[1:] = wanted["words"]
            acmectl()  # ends the process
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
