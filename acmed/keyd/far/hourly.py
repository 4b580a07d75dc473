# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many signatures, or refusals, a client had in the last hour. In a file: each ssh connection has its process."""

import fcntl
import json
import os
import time
from pathlib import Path

from acmed import atomicfile
from acmed.keyd.policy import Refused

_HOUR = 3600  # seconds
_MINUTE = 60


class TooMany(Refused):
    """It is one too many in this hour."""


class Hourly:
    """At most so many of something in any 60 minutes, counted in steps of one. The file has numbers by minute."""

    def __init__(self, path: Path, what: str, most: int) -> None:
        self._path = path
        self._what = what
        self._most = most

    def count(self) -> bool:
        """Counts one more; True where it is the last one. Raises TooMany, and Refused where it cannot be counted."""
        try:
            return self._count()
        except OSError as error:
            raise Refused(f"{self._what} cannot be counted in {self._path}: {error.strerror}") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise Refused(
                f"{self._what} cannot be counted in {self._path}: it has something else in it; remove it to begin anew"
            ) from error

    def _count(self) -> bool:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not the file itself, of which each count is a new one.
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            counts = self._recent()
            if sum(counts.values()) >= self._most:
                raise TooMany(f"there were {self._most} {self._what} in the last hour")
            current = str(int(time.time()) // _MINUTE)
            counts[current] = counts.get(current, 0) + 1
            atomicfile.replace(self._path, json.dumps(counts).encode())
            return sum(counts.values()) == self._most
        finally:
            os.close(lock)

    def _recent(self) -> dict[str, int]:
        """A file that is not there is none yet; one that is empty is one that was spoilt."""
        try:
            earlier: dict[str, int] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        now = int(time.time())
        # A minute to come is from before the clock was set back; it counts as one that is past.
        return {
            minute: count for minute, count in earlier.items() if abs(now - int(minute) * _MINUTE) <= _HOUR + _MINUTE
        }
