# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of keys that a CA may still be about to make: it was asked, and its answer never came.

A file for each account, which is there before the CA is asked, and outlives this process.
"""

import json
import time
from pathlib import Path

from acmed import atomicfile, journal

# Seconds after which no request is under way any more, neither here nor at the CA.
_LONGEST = 3600.0


class Outstanding:
    """The directory of these files. The names of accounts are object names (acmed.names) and so file names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def since(self, account: str, uri: str) -> float | None:
        """When the CA was asked last (seconds since the epoch), None where nothing is under way. Raises OSError.

        A clock that was set back makes it longer, and so does a file that is broken.
        """
        path = self._path(account)
        try:
            kept = json.loads(path.read_bytes())
            since = float(kept["since"]) if kept["uri"] == uri else None
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            journal.warning("%s cannot be read (%s), and counts as of now", path, error)
            return time.time()
        return None if since is None or time.time() - since > _LONGEST else since

    def note(self, account: str, uri: str, since: float) -> None:
        """Returns when it is on the disk. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomicfile.replace(self._path(account), json.dumps({"uri": uri, "since": since}).encode())

    def settle(self, account: str) -> None:
        """Every request was answered. Raises OSError."""
        self._path(account).unlink(missing_ok=True)

    def _path(self, account: str) -> Path:
        return self._directory / f"{account}.json"
