# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets of users of this host, reached so that nobody else can have put another one there. lacme(8) wants the same of
the socket and its directory; here the directories above count too.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from acmed import opath
from acmed.config.plainfile import OTHERS_WRITE
from acmed.varlink import Call


class NotTrusted(Exception):
    """The message says why, and has the path that is meant in it."""


@dataclass(frozen=True)
class TrustedSocket:
    """path: stays the same socket's while it is reached, whoever puts another in its place. owner: its user's ID."""

    path: str
    owner: int

    def check_peer(self, connected: socket.socket) -> None:
        """That who listens there is the owner, or root, who has given a unit its socket. Raises NotTrusted."""
        user = Call.on(connected).uid
        if user not in (0, self.owner):
            raise NotTrusted(f"user {user} listens there, but the socket belongs to user {self.owner}")


@contextmanager
def reached(path: Path) -> Iterator[TrustedSocket]:
    """Raises NotTrusted: another than root and the socket's owner may write to it, or to a directory on the way there,
    behind symbolic links too; a sticky bit does not help, as who comes first has the name. Raises OSError, where the
    socket is not there once its directories were looked at.
    """
    way = _Way()
    descriptor = opath.walk(path, way.look)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISSOCK(status.st_mode):
            raise NotTrusted(f"{path} is not a socket")
        if way.owner not in (0, status.st_uid):
            raise NotTrusted(
                f"{path} belongs to user {status.st_uid}, but user {way.owner}, whose directory it is in, could put"
                " another socket there"
            )
        if status.st_mode & OTHERS_WRITE:
            raise NotTrusted(f"others may connect to {path}: chmod 600 {quote(str(path))}")
        yield TrustedSocket(f"/proc/self/fd/{descriptor}", status.st_uid)
    finally:
        os.close(descriptor)


class _Way:
    """owner: who may write on the way there, besides root; root where nobody may."""

    def __init__(self) -> None:
        self.owner = 0

    def look(self, place: Path, status: os.stat_result) -> None:
        """Raises NotTrusted."""
        if not stat.S_ISDIR(status.st_mode):
            return
        if status.st_mode & OTHERS_WRITE:
            raise NotTrusted(
                f"{place} may be written by others, who could put another socket there: use a directory of its user "
                "alone, such as one in /run/user"
            )
        if self.owner and status.st_uid not in (0, self.owner):
            raise NotTrusted(f"{place} belongs to user {status.st_uid}, and a directory above it to user {self.owner}")
        self.owner = self.owner or status.st_uid
