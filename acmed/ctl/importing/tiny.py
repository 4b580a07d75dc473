# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of lacme, as Perl's Config::Tiny (2.30) reads them: [SECTION], KEY = VALUE, and comments."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT = "_"  # the section of what stands above the first header; [_] is the same one

_MAX_BYTES = 1 << 20

_LINE_END = re.compile(r"\r{1,2}\n|\r|\n")
_NOTHING = re.compile(r"\s*(?:[#;]|$)", re.ASCII)
_COMMENT = re.compile(r"\s;\s.+$", re.ASCII)
_HEADER = re.compile(r"\s*\[\s*(.+?)\s*\]\s*$", re.ASCII)
_PROPERTY = re.compile(r"\s*([^=]+?)\s*=\s*(.*?)\s*$", re.ASCII)
_ARRAY = "[]"  # behind a key: Config::Tiny would make an array of its values, which lacme has no use for


class BadSource(Exception):
    """lacme's files cannot be used: what is wrong, and where."""


@dataclass(frozen=True)
class Setting:
    """A line with a value. section is DEFAULT above the first header."""

    path: Path
    line: int
    section: str
    key: str
    value: str

    @property
    def title(self) -> str:
        """As a person would find it in the file."""
        return self.key if self.section == DEFAULT else f"[{self.section}] {self.key}"


Settings = dict[str, Setting]


@dataclass
class TinyFile:
    """What a file says, by section and key. overwritten: settings that the file has again below, and those."""

    path: Path
    sections: dict[str, Settings] = field(default_factory=dict)
    overwritten: list[tuple[Setting, Setting]] = field(default_factory=list)

    @property
    def defaults(self) -> Settings:
        return self.sections.get(DEFAULT, {})

    @property
    def named(self) -> dict[str, Settings]:
        """The sections that have a header."""
        return {name: settings for name, settings in self.sections.items() if name != DEFAULT}


def read(path: Path) -> TinyFile:
    """Raises BadSource."""
    try:
        with open(path, "rb", opener=_open) as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadSource(f"{path}: {error.strerror or error}") from None
    if len(data) > _MAX_BYTES:
        raise BadSource(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        return parse(path, data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadSource(f"{path}:{line}: is not UTF-8") from None


def _open(path: str, flags: int) -> int:
    """Without O_NONBLOCK, a FIFO would stop us here."""
    return os.open(path, flags | os.O_NONBLOCK)


def parse(path: Path, text: str) -> TinyFile:
    """Raises BadSource."""
    file, section = TinyFile(path), DEFAULT
    for number, written in enumerate(_LINE_END.split(text), 1):
        if _NOTHING.match(written):
            continue
        line = _COMMENT.sub("", written)
        if header := _HEADER.match(line):
            section = header[1]
            file.sections.setdefault(section, {})
            continue
        found = _PROPERTY.match(line)
        if not found:
            raise BadSource(f"{path}:{number}: lacme cannot read this line: {line.strip()!r}")
        if found[1].endswith(_ARRAY):
            raise BadSource(f"{path}:{number}: lacme has no setting {found[1]!r}")
        _add(file, Setting(path, number, section, found[1], found[2]))
    return file


def _add(file: TinyFile, setting: Setting) -> None:
    settings = file.sections.setdefault(setting.section, {})
    if before := settings.get(setting.key):
        file.overwritten.append((before, setting))
    settings[setting.key] = setting
