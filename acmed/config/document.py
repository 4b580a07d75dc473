# SPDX-License-Identifier: LGPL-2.1-or-later
"""One TOML file: read only where nobody but root could have written it, and parsed."""

import os
import stat
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any

from acmed.config import syntax
from acmed.config.locate import Key, locate
from acmed.config.model import Problem

MAX_SIZE = 256 * 1024  # bytes; a certificate with 100 names of 253 characters takes 26 KiB


class Refused(Exception):
    """A file or directory cannot be used; problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """A file's path, its text, and what it says."""

    path: Path
    text: str
    data: dict[str, Any]

    def line(self, key: Key) -> int:
        """The line of a key's path, of the nearest table around it where that is not found, or 0."""
        while key and key not in self._lines:
            key = key[:-1]
        return self._lines.get(key, 0)

    @cached_property
    def _lines(self) -> dict[Key, int]:
        return locate(self.text)


def files(directory: Path) -> list[Path]:
    """The files *.toml of a directory, sorted by name; none where there is no directory. Raises Refused."""
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refused(unreadable(directory, error)) from None
    return [path for path in paths if path.name.endswith(".toml") and not path.name.startswith(".")]


def readable(directory: Path) -> str:
    """A hint where a directory of the configuration is closed to acmed's daemons, which have users of their own."""
    return f"chmod a+rx {quote(str(directory))}; no secret belongs in it"


def unreadable(directory: Path, error: OSError) -> Problem:
    """That a directory cannot be read."""
    hint = readable(directory) if isinstance(error, PermissionError) else ""
    return Problem(directory, 0, f"cannot be read: {error.strerror}", hint)


def read(path: Path, root: Path, owner: int | None = None) -> Document:
    """Reads and parses a file that belongs to the configuration in root. Raises Refused, and FileNotFoundError.

    owner: the user, by number, whose it may be besides root's; whose root is, unless it is given.
    """
    text = _decode(path, _read(path, root, owner))
    try:
        return Document(path, text, tomllib.loads(text))
    except RecursionError:
        raise Refused(Problem(path, 0, "not valid TOML: it is nested too deeply")) from None
    except ValueError as error:
        raise Refused(syntax.problem(path, text, str(error))) from None


def _read(path: Path, root: Path, owner: int | None) -> bytes:
    """A file's bytes, if it is a plain file of root's that nobody else may write, and lies in the directory root."""
    try:
        real = _inside(path, root)
        with open(real, "rb", opener=_open) as file:
            _trust(path, os.fstat(file.fileno()), root.stat().st_uid if owner is None else owner)
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(Problem(path, 0, f"cannot be read: {error.strerror}")) from None
    if len(data) > MAX_SIZE:
        raise Refused(Problem(path, 0, f"is larger than {MAX_SIZE // 1024} KiB, and is ignored"))
    return data


def _open(path: str, flags: int) -> int:
    """Without O_NONBLOCK, a FIFO would stop the daemon here."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _inside(path: Path, root: Path) -> Path:
    """Where the file is. A symbolic link may point to another place in root only; a dangling one is a problem."""
    if not stat.S_ISLNK(os.lstat(path).st_mode):
        return path
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(root)):
        message = f"is a symbolic link that leads out of {root}, and is ignored"
        raise Refused(Problem(path, 0, message, "copy the file here"))
    if not real.exists():
        raise Refused(Problem(path, 0, f"is a symbolic link to {real}, which is not there"))
    return real


def _trust(path: Path, status: os.stat_result, owner: int) -> None:
    """Refuses what is no plain file, or could have been written by another than root or the owner of the directory."""
    if not stat.S_ISREG(status.st_mode):
        raise Refused(Problem(path, 0, "is not a plain file, and is ignored"))
    if status.st_uid not in (0, owner):
        hint = f"chown root {quote(str(path))}"
        # Without the user's number: with PrivateUsers=, as the daemons have it, all others look like nobody.
        raise Refused(Problem(path, 0, "does not belong to root, and is ignored", hint))
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        hint = f"chmod go-w {quote(str(path))}"
        raise Refused(Problem(path, 0, "may be written by others than its owner, and is ignored", hint))


def _decode(path: Path, data: bytes) -> str:
    try:
        # tomllib takes "\n" and "\r\n" as ends of lines; a byte order mark is left by some editors.
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(Problem(path, line, "not valid TOML: it is not UTF-8", "save the file as UTF-8")) from None
