# SPDX-License-Identifier: LGPL-2.1-or-later
"""A listening socket in the file system that is its user's alone."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BACKLOG = 64


class CannotListen(Exception):
    """The message says why, and what to do."""


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A new socket of mode 0600, which is removed at the end. Raises CannotListen."""
    _check_directory(path.parent)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        _bind(listener, path)
        ours = _identity(path)
        try:
            listener.listen(_BACKLOG)
            yield listener
        finally:
            with suppress(OSError):  # somebody has removed it
                if _identity(path) == ours:
                    path.unlink()


def _check_directory(directory: Path) -> None:
    try:
        status = directory.stat()
    except OSError as error:
        raise CannotListen(f"{directory}: {error.strerror}") from error
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CannotListen(
            f"{directory} may be written by others, who could put another socket in the place of ours: use a directory "
            "of your own"
        )


def _bind(listener: socket.socket, path: Path) -> None:
    """Nothing that is there already is touched, even if it is a dead socket."""
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        if os.path.lexists(path):
            hint = "end the acme-keyd that listens there, or remove it where there is none any more"
            raise CannotListen(f"{path} exists already: {hint}") from error
        raise CannotListen(f"{path}: {error.strerror or error}") from error
    finally:
        os.umask(mask)


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
