# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many signatures a client had in the last hour: in a file, as each ssh connection is a process of its own."""

import fcntl
import json
import os
import time
from pathlib import Path

from acmed.keyd.policy import Refused

_HOUR = 3600  # seconds
_MINUTE = 60


class Hourly:
    """At most so many signatures in any 60 minutes, counted in steps of one. The file has numbers by minute."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most

    def count(self) -> None:
        """Counts one signature more. Raises Refused where it is one too many, or cannot be counted."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                counts = self._add_one(file.read())
                file.seek(0)
                file.truncate()
                json.dump(counts, file)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it has something else in it"
            raise Refused(f"signatures cannot be counted in {self._path}: {reason}") from error

    def _add_one(self, text: str) -> dict[str, int]:
        now = int(time.time())
        earlier: dict[str, int] = json.loads(text or "{}")
        # A minute to come is from before the clock was set back; it counts as one that is past.
        counts = {
            minute: count for minute, count in earlier.items() if abs(now - int(minute) * _MINUTE) <= _HOUR + _MINUTE
        }
        if sum(counts.values()) >= self._most:
            raise Refused(f"there were {self._most} signatures in the last hour")
        current = str(now // _MINUTE)
        return counts | {current: counts.get(current, 0) + 1}
