# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that root gives acmed to read: used where nobody else could have written them."""

import os
import stat
from pathlib import Path

from acmed.config.sandbox import HOMES
from acmed.privd import files
from acmed.privd.refusal import explained

_HIDDEN = (*HOMES, "/tmp", "/var/tmp")  # PrivateTmp= of acme-privd.service

_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Unusable(Exception):
    """The file cannot be used; the message says why."""


def read(path: Path, most: int, secret: bool) -> bytes:
    """A file's content, of at most so many bytes. secret: others than its owner and group may not read it either.
    Symbolic links are followed where they are root's. Raises Unusable.
    """
    try:
        return _read(path, most, secret)
    except OSError as error:
        hidden = [top for top in _HIDDEN if str(path).startswith(f"{top}/")]
        hint = f"; acme-privd.service does not see what is in {hidden[0]}" if hidden else ""
        raise Unusable(explained(error) + hint) from error


def _read(path: Path, most: int, secret: bool) -> bytes:
    forbidden, right = (_WRITE | stat.S_IROTH, "0600") if secret else (_WRITE, "0644")
    with files.reached(path) as reached:
        status = reached.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("it is not a regular file")
        if status.st_uid not in (0, os.geteuid()):
            raise Unusable(f"it belongs to user {status.st_uid}, and must belong to root")
        if status.st_mode & forbidden:
            raise Unusable(f"its mode is {stat.S_IMODE(status.st_mode):04o}; run: chmod {right} {path}")
        if status.st_size > most:
            raise Unusable(f"it has {status.st_size} bytes; allowed are {most}")
        try:
            return reached.read_bytes()
        except OSError as error:
            error.filename = str(path)
            raise
