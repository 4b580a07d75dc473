# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that nobody else may read or write: keys, passphrases and logs."""

import os
import stat
from pathlib import Path
from shlex import quote

_MAX_SIZE = 64 * 1024  # bytes


def read(path: Path) -> bytes:
    """The content of a plain file of ours or root's, of at most 64 KiB. Raises OSError, which says what is wrong."""
    descriptor = _open(path)
    try:
        own(descriptor, path)
        content = os.read(descriptor, _MAX_SIZE + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_SIZE:
        raise OSError(0, f"it is larger than {_MAX_SIZE // 1024} KiB", str(path))
    return content


def own(descriptor: int, path: Path) -> None:
    """Raises OSError unless it is a plain file, ours or root's, and no others' to read or write."""
    status = _ours(descriptor, path)
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise OSError(0, f"others may read or write it: chmod 600 {quote(str(path))}", str(path))


def check_writers(path: Path) -> None:
    """Raises OSError unless it is a plain file, ours or root's, that no others may write; they may read it."""
    descriptor = _open(path)
    try:
        status = _ours(descriptor, path)
    finally:
        os.close(descriptor)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(0, f"others may write it: chmod go-w {quote(str(path))}", str(path))


def _open(path: Path) -> int:
    """Without O_NONBLOCK, a FIFO would stop us here."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _ours(descriptor: int, path: Path) -> os.stat_result:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it is not a plain file", str(path))
    if status.st_uid not in (0, os.geteuid()):
        hint = f": chown root {quote(str(path))}" if os.geteuid() == 0 else ""
        raise OSError(0, f"it belongs to another user{hint}", str(path))
    return status
