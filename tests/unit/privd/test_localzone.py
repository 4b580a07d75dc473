# SPDX-License-Identifier: LGPL-2.1-or-later
"""The challenge file of a local zone, as acmebot writes it and bindtool reads it."""

import json
import os
from pathlib import Path

import pytest

from tests.unit.privd import oneshot

ZONE = "example.com"
FIRST, SECOND, THIRD = ("a" * 43, "b" * 43, "c" * 43)


def run(directory: Path, host: str, value: str, present: bool = True) -> str:
    """What acmed.localzone says is wrong."""
    return oneshot.run("acmed.localzone", directory, zone=ZONE, host=host, value=value, present=present)


def records(directory: Path) -> set[tuple[str, str]]:
    """The TXT records that bindtool makes of the file."""
    values = json.loads((directory / ZONE).read_text())
    return {(f"_acme-challenge.{host.removeprefix('*.')}", value) for host, value in values.items()}


def test_set_and_clear(tmp_path: Path) -> None:
    path = tmp_path / ZONE
    for _ in range(2):
        assert run(tmp_path, "www.example.com", FIRST) == ""
        assert path.read_text() == json.dumps({"www.example.com": FIRST})
        assert path.stat().st_mode & 0o777 == 0o644
    assert run(tmp_path, "mail.example.com", SECOND) == ""
    assert json.loads(path.read_text()) == {"www.example.com": FIRST, "mail.example.com": SECOND}
    assert run(tmp_path, "www.example.com", FIRST, False) == ""
    assert path.read_text() == json.dumps({"mail.example.com": SECOND})
    for _ in range(2):
        assert run(tmp_path, "mail.example.com", SECOND, False) == ""
        assert list(tmp_path.iterdir()) == [], "a file without a value is none"


def test_a_name_and_its_wildcard(tmp_path: Path) -> None:
    """Two values of one record, each of which is cleared alone."""
    for value in (FIRST, SECOND, FIRST):
        assert run(tmp_path, ZONE, value) == ""
    name = f"_acme-challenge.{ZONE}"
    assert records(tmp_path) == {(name, FIRST), (name, SECOND)}
    before = (tmp_path / ZONE).read_text()
    assert f"two other orders have values for {name}" in run(tmp_path, ZONE, THIRD)
    assert (tmp_path / ZONE).read_text() == before
    assert run(tmp_path, ZONE, FIRST, False) == ""
    assert records(tmp_path) == {(name, SECOND)}
    assert run(tmp_path, ZONE, THIRD) == ""
    assert records(tmp_path) == {(name, SECOND), (name, THIRD)}


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    others = {"*.example.com": FIRST, "imap.example.com": SECOND}
    (tmp_path / ZONE).write_text(json.dumps(others))
    assert run(tmp_path, "imap.example.com", FIRST, False) == ""
    assert run(tmp_path, "www.example.com", THIRD) == ""
    assert run(tmp_path, "www.example.com", THIRD, False) == ""
    assert json.loads((tmp_path / ZONE).read_text()) == others


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[]", '{"www.example.com": 1}', "[" * 100_000, "\xff", "x" * 1100000]
)
def test_a_file_of_something_else(tmp_path: Path, content: str) -> None:
    path = tmp_path / ZONE
    path.write_text(content, encoding="latin-1")
    for present in (True, False):
        error = run(tmp_path, "www.example.com", FIRST, present)
        assert error == f"{tmp_path}: {ZONE} does not have one JSON object of hosts and values"
    assert path.read_text(encoding="latin-1") == content


def test_links_are_not_followed(tmp_path: Path) -> None:
    victim, directory = tmp_path / "victim", tmp_path / "challenges"
    directory.mkdir()
    victim.write_text("data")
    (directory / ZONE).symlink_to(victim)
    assert run(directory, ZONE, FIRST) == f"{directory}/{ZONE}: Too many levels of symbolic links"
    (directory / ZONE).unlink()
    (directory / f".{ZONE}.acmed-new").symlink_to(victim)
    assert run(directory, ZONE, FIRST) == ""
    assert victim.read_text() == "data"
    assert [path.name for path in directory.iterdir()] == [ZONE]


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ZONE)
    assert "is not a plain file" in run(tmp_path, ZONE, FIRST)
