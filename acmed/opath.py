# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths that are walked a step at a time, each from the descriptor of the one before: nobody can move what was looked
at (openat(2), path_resolution(7)).
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40  # as the kernel's

Look = Callable[[Path, os.stat_result], None]


def walk(path: Path, look: Look) -> int:
    """An O_PATH descriptor of what an absolute path leads to, to be closed. look gets each directory and symbolic link
    on the way, and what is at the end; what it raises ends the walk. Raises OSError.
    """
    place, names, links = Path("/"), list(reversed(path.parts)), 0
    current = os.open("/", _STEP)
    try:
        while names:
            name = names.pop()
            following = os.open(name, _STEP, dir_fd=current)
            status = os.fstat(following)
            if not stat.S_ISLNK(status.st_mode):
                os.close(current)
                current, place = following, place.parent if name == ".." else place / name
                look(place, status)
                continue
            try:
                look(place / name, status)
                names += reversed(Path(os.readlink("", dir_fd=following)).parts)
            finally:
                os.close(following)
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    except BaseException:
        os.close(current)
        raise
    return current
