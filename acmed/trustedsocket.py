# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets of users of this host, reached so that nobody else can have put another one there. lacme(8) wants the same of
the socket and its directory; here the directories above count too.
"""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40  # as the kernel's, path_resolution(7)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7): pid, uid, gid


class NotTrusted(Exception):
    """The message says why, and has the path that is meant in it."""


@dataclass(frozen=True)
class TrustedSocket:
    """path: stays the same socket's while it is reached, whoever puts another in its place. owner: its user's ID."""

    path: str
    owner: int

    def check_peer(self, connected: socket.socket) -> None:
        """That who listens there is the owner, or root, who has given a unit its socket. Raises NotTrusted."""
        size = _CREDENTIALS.size
        _, user, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if user not in (0, self.owner):
            raise NotTrusted(f"user {user} listens there, but the socket belongs to user {self.owner}")


@contextmanager
def reached(path: Path) -> Iterator[TrustedSocket]:
    """Raises NotTrusted: another than root and the socket's owner may write to it, or to a directory on the way there,
    behind symbolic links too; a sticky bit does not help, as who comes first has the name. Raises OSError, where the
    socket is not there once its directories were looked at.
    """
    descriptor, owner = _walk(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISSOCK(status.st_mode):
            raise NotTrusted(f"{path} is not a socket")
        if owner not in (0, status.st_uid):
            raise NotTrusted(
                f"{path} belongs to user {status.st_uid}, but user {owner}, whose directory it is in, could put another"
                " socket there"
            )
        if status.st_mode & _OTHERS_WRITE:
            raise NotTrusted(f"others may connect to {path}: chmod 600 {quote(str(path))}")
        yield TrustedSocket(f"/proc/self/fd/{descriptor}", status.st_uid)
    finally:
        os.close(descriptor)


def _walk(path: Path) -> tuple[int, int]:
    """An O_PATH descriptor, and who may write besides root on the way there; root where nobody may."""
    place, names, links, owner = Path("/"), list(reversed(path.parts)), 0, 0
    current = os.open("/", _STEP)
    try:
        while names:
            name = names.pop()
            following = os.open(name, _STEP, dir_fd=current)
            status = os.fstat(following)
            if stat.S_ISLNK(status.st_mode):
                try:
                    names += reversed(Path(os.readlink("", dir_fd=following)).parts)
                finally:
                    os.close(following)
                links += 1
                if links > _MAX_LINKS:
                    raise NotTrusted(f"there are too many symbolic links on the way to {path}")
                continue
            os.close(current)
            current, place = following, place.parent if name == ".." else place / name
            if stat.S_ISDIR(status.st_mode):
                owner = _writer(place, status, owner)
    except BaseException:
        os.close(current)
        raise
    return current, owner


def _writer(directory: Path, status: os.stat_result, owner: int) -> int:
    """Who may write on the way there, with this directory. Raises NotTrusted."""
    if status.st_mode & _OTHERS_WRITE:
        raise NotTrusted(
            f"{directory} may be written by others, who could put another socket there: use a directory of its user "
            "alone, such as one in /run/user"
        )
    if owner and status.st_uid not in (0, owner):
        raise NotTrusted(f"{directory} belongs to user {status.st_uid}, and a directory above it to user {owner}")
    return owner or status.st_uid
