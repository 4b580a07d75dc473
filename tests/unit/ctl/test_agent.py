# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the polkit agent is started and that it is ended; tests/system has the real one, which needs a session."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmed.ctl import agent
from acmed.ctl.agent import polkit_agent

_PROGRAM = f"""#!{sys.executable}
import os, signal, sys
log = open(sys.argv[0] + ".log", "w")
print(*sys.argv[1:], file=log, flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.close(int(sys.argv[2]))
signal.sigwait([signal.SIGTERM])
print("ended", file=log, flush=True)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A terminal, a user, and a program in pkttyagent's place that writes this file."""
    program = tmp_path / "agent"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    monkeypatch.setattr(agent, "_AGENT", str(program))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    master, slave = os.openpty()
    with open(slave) as terminal:  # noqa: PTH123  a descriptor
        monkeypatch.setattr(sys, "stdin", terminal)
        yield tmp_path / "agent.log"
    os.close(master)


def test_agent_is_ready_inside_and_ended_after(log: Path) -> None:
    with polkit_agent(ask=True):
        words = log.read_text().split()
        assert words[0] == "--notify-fd"
        assert words[2:] == ["--fallback", "--process", str(os.getpid())]
    assert log.read_text().splitlines()[1:] == ["ended"]


def test_agent_is_ended_when_it_is_interrupted(log: Path) -> None:
    with pytest.raises(KeyboardInterrupt), polkit_agent(ask=True):
        raise KeyboardInterrupt
    assert log.read_text().splitlines()[1:] == ["ended"]


def test_no_agent_where_nobody_may_ask(log: Path) -> None:
    with polkit_agent(ask=False):
        pass
    assert not log.exists()


def test_no_agent_for_root(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with polkit_agent(ask=True):
        pass
    assert not log.exists()


def test_no_agent_without_a_terminal(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open() as null:
        monkeypatch.setattr(sys, "stdin", null)
        with polkit_agent(ask=True):
            pass
    assert not log.exists()


def test_agent_that_is_not_installed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_AGENT", str(log.parent / "none"))
    with polkit_agent(ask=True):
        pass
    assert not log.exists()
