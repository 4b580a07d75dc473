# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a key was opened from. When that changes, the key is opened anew, or somebody is asked again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from acmed.config import Account
from acmed.config.keysource import KeySource, Kind


@dataclass(frozen=True)
class Source:
    """What configuration says of the key, and which file it is: inode, and time of the last change in nanoseconds."""

    key: KeySource | None
    command: tuple[str, ...]
    file: tuple[int, int] | None

    @classmethod
    def of(cls, account: Account) -> Self:
        """As it is now."""
        return cls(account.key, account.key_command, _file(account.key))


def _file(key: KeySource | None) -> tuple[int, int] | None:
    if key is None or key.kind not in (Kind.FILE, Kind.GPG):
        return None
    try:
        status = Path(key.place).stat()
    except OSError:  # to open it says why
        return None
    return status.st_ino, status.st_ctime_ns
