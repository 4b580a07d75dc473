# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs in somebody's terminal, which is closed at the end."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.machine import Machine
from tests.system import typist

TYPIST = "/usr/lib/typist.py"


@contextlib.contextmanager
def terminal(
    machine: Machine, user: str | None, env: Mapping[str, str], *words: str
) -> Iterator["subprocess.Popen[str]"]:
    """A program of root's or of a user's; it gets SIGHUP at the end, as it does when its terminal is closed."""
    process = machine.popen(["sh", "-c", 'echo $$; exec "$@"', "sh", *words], user=user, env=env)
    assert process.stdout
    pid = process.stdout.readline().strip()
    try:
        yield process
    finally:
        machine.run(["kill", "-HUP", pid], check=False)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


@contextlib.contextmanager
def attended(
    machine: Machine, secret: str, prompt: str, user: str | None, env: Mapping[str, str], *words: str
) -> Iterator[None]:
    """The same with somebody at it, who types the secret whenever the program, or another one, asks for it there."""
    machine.put(Path(typist.__file__), TYPIST)
    with terminal(machine, user, {**env, "PROMPT": prompt, "TERM": "dumb"}, "python3", TYPIST, secret, *words):
        yield
