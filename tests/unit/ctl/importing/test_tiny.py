# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files are read as Config::Tiny 2.30 reads them; each of these was given to the original too."""

import os
from pathlib import Path

import pytest

from acmed.ctl.importing import tiny

PATH = Path("/etc/lacme/x.conf")


def parsed(text: str) -> dict[str, dict[str, str]]:
    sections = tiny.parse(PATH, text).sections
    return {name: {key: setting.value for key, setting in settings.items()} for name, settings in sections.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a = b", {"_": {"a": "b"}}),
        (" a b =  c = d  \r\n", {"_": {"a b": "c = d"}}),
        ("a =", {"_": {"a": ""}}),
        ("# a = b\n; c = d\n  # e\n\n   \n", {}),
        ("a = b ; comment\n", {"_": {"a": "b"}}),
        ("a = b;not one\n", {"_": {"a": "b;not one"}}),
        ("a = b ;\n", {"_": {"a": "b ;"}}),
        ("a = b # not one\n", {"_": {"a": "b # not one"}}),
        ("a = ; b ; c", {"_": {"a": ""}}),
        ("[ s t ]\na=1\n[u]\n", {"s t": {"a": "1"}, "u": {}}),
        ("[s] ; comment\na=1", {"s": {"a": "1"}}),
        ("[s]\na=1\n[t]\n[s]\nb=2\n[_]\nc=3", {"s": {"a": "1", "b": "2"}, "t": {}, "_": {"c": "3"}}),
        ("a=1\rb=2\r\r\nc=3", {"_": {"a": "1", "b": "2", "c": "3"}}),
        (" = b", {"_": {" ": "b"}}),
        ("a\u00a0= b\u00a0", {"_": {"a\u00a0": "b\u00a0"}}),
        ('a = "b"', {"_": {"a": '"b"'}}),
    ],
)
def test_read(text: str, expected: dict[str, dict[str, str]]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize("line", ["nonsense", "[s", "[s] # comment", "[]", "= b", "\ufeff# comment"])
def test_line_that_it_cannot_read(line: str) -> None:
    with pytest.raises(tiny.BadSource, match=r"x\.conf:2: lacme cannot read this line"):
        parsed(f"a = b\n{line}\n")


def test_array() -> None:
    with pytest.raises(tiny.BadSource, match=r"x\.conf:1: lacme has no setting 'hash\[\]'"):
        parsed("hash[] = sha256")


def test_lines_and_what_is_overwritten() -> None:
    file = tiny.parse(PATH, "\n[s]\na = 1\n\n[t]\n[s]\na = 2\n")
    (old, new) = file.overwritten[0]
    assert (old.line, old.value, new.line, new.value, new.title) == (3, "1", 7, "2", "[s] a")
    assert file.sections["s"]["a"] == new


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_bytes(b"a = b\nc = \xe9\n")
    with pytest.raises(tiny.BadSource, match=r"x\.conf:2: is not UTF-8"):
        tiny.read(tmp_path / "x.conf")


def test_fifo(tmp_path: Path) -> None:
    """It is as empty as it is for who waits for nobody."""
    os.mkfifo(tmp_path / "x.conf")
    assert tiny.read(tmp_path / "x.conf").sections == {}


def test_too_large(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(tiny.BadSource, match="larger than"):
        tiny.read(tmp_path / "x.conf")
