# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program itself, started as its socket unit does."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from acmed import varlink

# Puts the inherited socket where sd_listen_fds(3) has it.
_START = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); \
os.execv(sys.executable, [sys.executable, '-m', 'acmed.clientd'])"


def start(listener: socket.socket, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _START, str(listener.fileno())],
        pass_fds=[listener.fileno()],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def listener(tmp_path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "client.sock"))
    listener.listen()
    return listener


def test_it_answers_and_ends_when_told(tmp_path: Path, listener: socket.socket) -> None:
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}
    process = start(listener, {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "client"} | state)
    client = varlink.Client(varlink.load("org.acmed.Client"), tmp_path / "client.sock")
    assert asyncio.run(client.call("Drop", timeout=30, job=1, certificate="www")) == {}
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in log) == (0, False)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "client"}, "STATE_DIRECTORY is not set"),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "key", "STATE_DIRECTORY": "/nowhere"}, "No socket named client"),
    ],
)
def test_it_is_started_by_hand(listener: socket.socket, environment: dict[str, str], words: str) -> None:
    _, log = (process := start(listener, environment)).communicate(timeout=30)
    assert process.returncode != 0
    assert words in log
    assert "Traceback" not in log
