# SPDX-License-Identifier: LGPL-2.1-or-later
"""Directories of others, such as a web server's document root. What is written there is written by a transient unit: as
the directory's owner, with that directory the only writable one, so that its owner can lead nobody but himself astray.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmed.bus import Variant
from acmed.privd import files, transient
from acmed.privd.pid1 import Pid1
from acmed.privd.refusal import explained, refusal
from acmed.privd.transient import Failure, Program

_TIMEOUT = 10  # seconds
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))  # ProtectHome= of acme-privd.service


@dataclass(frozen=True)
class Directory:
    """A directory as it was found: user and group own it; device and inode tell it from others."""

    path: Path
    user: int
    group: int
    device: int
    inode: int


def look(path: Path, key: str) -> Directory:
    """The directory that a key of the configuration names. On the way to it only root's symbolic links are followed:
    who may write above it could lead elsewhere, and have us write as somebody else. Raises ChallengeUnavailable.
    """
    try:
        with files.reached(path) as same:
            status = same.stat()
    except OSError as error:
        hint = "; acme-privd does not see what is below it" if any(path.is_relative_to(top) for top in _HIDDEN) else ""
        raise refusal("ChallengeUnavailable", message=f"{key}: {explained(error)}{hint}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise refusal("ChallengeUnavailable", message=f"{key}: {path} is not a directory")
    return Directory(path, status.st_uid, status.st_gid, status.st_dev, status.st_ino)


async def write(
    manager: Pid1, directory: Directory, kind: str, description: str, order: Mapping[str, Any]
) -> Failure | None:
    """Runs acmed.KIND with the order as the directory's owner. Raises DBusError, BusLost or TimeoutError."""
    where = {"directory": str(directory.path), "device": directory.device, "inode": directory.inode}
    sandbox = {
        **transient.OWN,
        "User": Variant("s", str(directory.user)),
        "Group": Variant("s", str(directory.group)),
        "ReadWritePaths": Variant("as", [str(directory.path)]),
        "ProtectHome": Variant("s", "read-only"),
        "PrivateNetwork": Variant("b", True),
        "RestrictAddressFamilies": Variant("(bas)", [True, ["AF_UNIX"]]),
    }
    return await transient.run(
        manager, Program(kind, description, f"acmed.{kind}", {**where, **order}, _TIMEOUT, sandbox)
    )
