# SPDX-License-Identifier: LGPL-2.1-or-later
"""systemd-creds as acme-privd talks with it, by sockets; PID 1's part is in tests/system/test_sealing.py."""

import shutil
import socket
from pathlib import Path

import pytest

from acmed.privd.accounts import creds
from tests.unit.privd import starter

SECRET = b"a secret"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    starter.install(monkeypatch, tmp_path)
    return tmp_path


def program(place: Path, patch: pytest.MonkeyPatch, text: str) -> None:
    """In the place of systemd-creds."""
    path = place / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    patch.setattr(creds, "_PROGRAM", str(path))


@pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")
def test_there_and_back(place: Path) -> None:
    sealed = creds.run("encrypt", "account_main", SECRET)
    assert SECRET not in sealed.output
    assert creds.run("decrypt", "account_main", sealed.output).output == SECRET
    other = creds.run("decrypt", "account_other", sealed.output)
    assert (other.output, other.failure) == (b"", "exit status 1")
    assert "account_main" in other.said
    assert creds.run("decrypt", "account_main", b"").failure, "it has come to the end of what it reads"


def test_what_a_killed_one_left_is_in_nobodys_way(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(place, monkeypatch, "cat")
    for name in ("creds.sock", "creds-errors.sock"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(place / name))
    assert creds.run("encrypt", "account_main", SECRET) == creds.Outcome(SECRET, "", "")
    assert not list(place.glob("*.sock"))


def test_more_than_a_socket_holds(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(place, monkeypatch, "cat >$0.read; cat $0.read; echo done >&2")
    large = bytes(range(256)) * 16384
    assert creds.run("encrypt", "account_main", large) == creds.Outcome(large, "done", "")


def test_who_ends_without_reading_is_heard(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(place, monkeypatch, "echo 'nothing to be done' >&2; exit 3")
    outcome = creds.run("encrypt", "account_main", b"x" * (1 << 22))
    assert (outcome.said, outcome.failure) == ("nothing to be done", "exit status 3")


def test_an_outcome_is_shown_without_what_came_out() -> None:
    assert "secret" not in repr(creds.Outcome(SECRET, "", ""))
