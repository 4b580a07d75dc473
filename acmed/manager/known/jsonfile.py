# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON files for acmed alone (mode 0600), each replaced as a whole.

A file that is broken, or cannot be read, is set aside as NAME.broken, logged, and counts as missing: acmed goes on
without it.
"""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from acmed import atomicfile, journal
from acmed.manager import clock
from acmed.varlink.idl import TypeMismatch

_Record = TypeVar("_Record")

# What is short for a while, and no fault of a file's.
_FOR_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_UINT32 = 2**32  # what D-Bus has as u is below that


def read(path: Path, decode: Callable[[dict[str, Any]], _Record]) -> _Record | None:
    """What is in a file; decode may raise ValueError or TypeMismatch. None where it is missing, or was set aside.
    Raises OSError: acmed has too many files open, or no memory.
    """
    try:
        return decode(json.loads(path.read_bytes(), parse_int=_integer))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeMismatch, RecursionError) as error:
        set_aside(path, error)
        return None


def set_aside(path: Path, error: Exception) -> None:
    """Puts a file away that is of no use, as error says. Where even that fails, the journal has why. Raises error where
    it is none of the file's.
    """
    if isinstance(error, OSError) and error.errno in _FOR_NOW:
        raise error
    why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
    aside = path.with_name(f"{path.name}.broken")
    try:
        path.rename(aside)
    except OSError as failure:
        journal.error("%s is broken (%s) and cannot be set aside: %s", path, why, failure.strerror)
        return
    journal.error("%s is broken (%s) and was set aside as %s", path, why, aside.name)


def check_short(data: dict[str, Any], *keys: str) -> None:
    """Raises ValueError: one of these has more than 32 bits, of which D-Bus has no more for it."""
    for key in keys:
        if data[key] >= _UINT32:
            raise ValueError(f"{key} is out of range")


def write(path: Path, data: dict[str, Any], durable: bool = True) -> None:
    """Raises OSError."""
    atomicfile.replace(path, json.dumps(data, indent=1).encode() + b"\n", durable)


def cache(path: Path, data: dict[str, Any], durable: bool = False) -> None:
    """For what can be found out again: it costs no fsync, and a disk that is full is no reason to fail. durable: what
    is there already must survive a power failure.
    """
    try:
        write(path, data, durable)
    except OSError as error:
        journal.warning("Cannot write %s: %s", path, error.strerror or error)


def _integer(text: str) -> int:
    """All integers are counts or times. Raises ValueError: it is neither, and could neither be shown nor sent."""
    number = int(text)
    if not 0 <= number <= clock.LAST:
        raise ValueError("an integer in it is out of range")
    return number
