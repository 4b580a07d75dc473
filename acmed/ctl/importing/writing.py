# SPDX-License-Identifier: LGPL-2.1-or-later
"""New files, as text and on the disk: all of them or none, and nothing that is there is touched."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from acmed.config.words import toml_key
from acmed.privd import toml

Value = str | int | bool | list[str] | dict[str, str]
Table = dict[str, Value]

PLAIN, EXECUTABLE, PRIVATE_EXECUTABLE = 0o644, 0o755, 0o700
_DIRECTORY = 0o755


@dataclass(frozen=True)
class NewFile:
    """mode: of the file, whose owner will be root."""

    path: Path
    text: str
    mode: int = PLAIN


def table_text(title: str, table: Table) -> str:
    """A table in TOML; title is empty for the keys of a certificate's file."""
    lines = [f"{key} = {_value(value)}\n" for key, value in table.items()]
    return (f"[{title}]\n" if title else "") + "".join(lines)


def path_text(path: str) -> str:
    """A path as configuration has it, in which a percent sign begins a specifier."""
    return path.replace("%", "%%")


def path_of(text: str) -> Path:
    """The other way round."""
    return Path(text.replace("%%", "%"))


def existing(files: Iterable[NewFile]) -> list[Path]:
    """Those that would be overwritten. Raises OSError."""
    return [file.path for file in files if os.path.lexists(file.path)]


def write(files: Sequence[NewFile]) -> None:
    """Raises OSError, FileExistsError where one is there; then none is written."""
    with _undone_on_error() as made:
        for file in files:
            _make_directory(file.path.parent, made)
            _create(file, made)


@contextmanager
def _undone_on_error() -> Iterator[list[Path]]:
    """What is made inside is removed again if that fails, or is interrupted."""
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise


def _make_directory(path: Path, made: list[Path]) -> None:
    if path.is_dir():
        return
    _make_directory(path.parent, made)
    path.mkdir()
    made.append(path)
    path.chmod(_DIRECTORY)


def _create(file: NewFile, made: list[Path]) -> None:
    """Whoever reads the directory meanwhile sees the file whole, or not at all."""
    descriptor, temporary = tempfile.mkstemp(prefix=".acmectl-", dir=file.path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(file.text)
            stream.flush()
            os.fchmod(descriptor, file.mode)
            os.fsync(descriptor)
        os.link(temporary, file.path)  # unlike a rename, this replaces nothing
        made.append(file.path)
    finally:
        os.unlink(temporary)  # noqa: PTH108  a string


def _value(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return toml.string(value)
        case list():
            return toml.strings(value)
    pairs = ", ".join(f"{toml_key(key)} = {toml.string(text)}" for key, text in value.items())
    return f"{{ {pairs} }}"
