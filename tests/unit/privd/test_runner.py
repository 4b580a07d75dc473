# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program of root's, and what is told of it when it fails."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Told:
    """The exit status, what PID 1 is told (sd_notify(3)), and what goes to the journal."""

    status: int
    text: str
    journal: str


def run(directory: Path, script: str, environment: dict[str, str] | None = None, content: str | None = None) -> Told:
    program = directory / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return run_argv(directory, [str(program), "set"], environment or {}, content)


def run_argv(directory: Path, argv: list[str], environment: dict[str, str], content: str | None = None) -> Told:
    address = directory / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pid1:
        pid1.bind(str(address))
        pid1.setblocking(False)
        done = subprocess.run(
            [sys.executable, "-m", "acmed.runner"],
            input=json.dumps({"argv": argv, "environment": environment, "input": content}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=30,
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
        )
        try:
            text = pid1.recv(65536).decode()
        except BlockingIOError:
            text = ""
    return Told(done.returncode, text.removeprefix("STATUS="), done.stderr)


def test_success_is_silent(tmp_path: Path) -> None:
    assert run(tmp_path, "echo words >&2") == Told(0, "", "words\n")


def test_the_last_line_is_told(tmp_path: Path) -> None:
    told = run(tmp_path, 'echo first >&2; echo "the   last\twords" >&2; echo >&2; exit 3')
    assert (told.status, told.text) == (1, "exit status 3: the last words")
    assert told.journal.startswith("first\nthe   last\twords\n\n")
    assert run(tmp_path, "exit 4").text == "exit status 4, without a word on standard error"
    assert run(tmp_path, "kill -KILL $$").text == "killed by SIGKILL, without a word on standard error"


def test_long_and_odd_words_are_bounded(tmp_path: Path) -> None:
    told = run(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' a >&2; exit 1")
    assert told.text.startswith("exit status 1: aaaa")
    assert len(told.text) < 600
    told = run(tmp_path, "printf 'a\\377\\033[31mb\\nSTATUS=c' >&2; exit 1")
    assert told.text == "exit status 1: STATUS=c"


def test_what_it_gets(tmp_path: Path) -> None:
    script = f'echo "$0 $1 $ACMED_VALUE ${{NOTIFY_SOCKET-none}}" >{tmp_path}/out; cat >>{tmp_path}/out'
    environment = {"ACMED_VALUE": "$(id) `id` *"}
    assert run(tmp_path, script, environment, "To: a\n").status == 0
    assert (tmp_path / "out").read_text() == f"{tmp_path}/program set $(id) `id` * none\nTo: a\n"
    assert run(tmp_path, f"cat >{tmp_path}/out").status == 0
    assert (tmp_path / "out").read_text() == "", "nothing to read is an end, not a wait"


def test_input_that_nobody_reads(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", content="a" * 1_000_000).status == 0
    assert run(tmp_path, "exit 5", content="a" * 1_000_000).text.startswith("exit status 5")


def test_what_cannot_be_run(tmp_path: Path) -> None:
    assert run_argv(tmp_path, [f"{tmp_path}/missing"], {}).text == "it cannot be run: No such file or directory"
    assert run_argv(tmp_path, [str(tmp_path)], {}).text == "it cannot be run: Permission denied"
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    assert run_argv(tmp_path, [f"{tmp_path}/text"], {}).text == "it cannot be run: Exec format error"


def test_one_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    """It would hold the pipe open; PID 1 ends it with the unit."""
    told = run(tmp_path, f"sleep 60 >/dev/null & echo $! >{tmp_path}/pid; echo words >&2; exit 1")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert told.text == "exit status 1: words"


@pytest.mark.parametrize("trap", ["", "trap 'echo interrupted >&2; exit 9' TERM;"])
def test_at_the_timeout_the_last_words_are_told(tmp_path: Path, trap: str) -> None:
    """PID 1 sends SIGTERM to all that is in the unit."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{trap}\necho waiting for the provider >&2\nkill -TERM 0\nwait\n")
    program.chmod(0o755)
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pid1:
        pid1.bind(str(address))
        pid1.settimeout(20)
        with subprocess.Popen(
            [sys.executable, "-m", "acmed.runner"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
            start_new_session=True,
        ) as process:
            process.communicate(json.dumps({"argv": [str(program)], "environment": {}, "input": None}).encode())
        text = pid1.recv(65536).decode()
    expected = "exit status 9: interrupted" if trap else "killed by SIGTERM: waiting for the provider"
    assert text == f"STATUS={expected}"
