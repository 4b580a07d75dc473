# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON files for acmed alone (mode 0600), each replaced as a whole.

A file that is broken is set aside as NAME.broken, logged, and counts as missing: acmed goes on without it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from acmed import atomicfile, journal
from acmed.varlink.idl import TypeMismatch

_Record = TypeVar("_Record")


def read(path: Path, decode: Callable[[dict[str, Any]], _Record]) -> _Record | None:
    """What is in a file; decode may raise ValueError or TypeMismatch. None where it is missing, or was set aside."""
    try:
        return decode(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeMismatch, RecursionError) as error:
        aside = path.with_name(f"{path.name}.broken")
        path.rename(aside)
        journal.error("%s is broken (%s) and was set aside as %s", path, error or type(error).__name__, aside.name)
        return None


def write(path: Path, data: dict[str, Any], durable: bool = True) -> None:
    """Raises OSError."""
    atomicfile.replace(path, json.dumps(data, indent=1).encode() + b"\n", durable)


def cache(path: Path, data: dict[str, Any]) -> None:
    """For what can be found out again: it costs no fsync, and a disk that is full is no reason to fail."""
    try:
        write(path, data, durable=False)
    except OSError as error:
        journal.warning("Cannot write %s: %s", path, error.strerror or error)
