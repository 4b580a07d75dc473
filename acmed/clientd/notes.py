# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is worth remembering between runs, and not worth failing for: small JSON files, each about one subject."""

import hashlib
import json
from pathlib import Path
from typing import Any

from acmed import atomicfile, journal

_FORMAT = 1
_LARGEST = 1024 * 1024  # bytes; a directory is much smaller than the largest answer that is taken


class Notes:
    """Those in a directory. Nothing here raises an error: what cannot be read was not written, and what cannot be
    written is not remembered. They survive a kill, not a power failure, which keeps them quick enough to be written
    between two requests. Whoever reads a note checks it: it may be an older one, or nothing that makes sense.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, subject: str) -> dict[str, Any]:
        """The fields of the note; {} where there is none."""
        path = self._path(subject)
        try:
            with path.open("rb") as file:
                note = json.loads(file.read(_LARGEST))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            journal.debug("The note %s cannot be read: %s", path, error)
            return {}
        if not isinstance(note, dict) or (note.get("format"), note.get("subject")) != (_FORMAT, subject):
            return {}
        return note

    def write(self, subject: str, **fields: Any) -> None:
        """Replaces the note. fields: what JSON can say."""
        path = self._path(subject)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = json.dumps({"format": _FORMAT, "subject": subject} | fields)
            atomicfile.replace(path, content.encode(), durable=False)
        except OSError as error:
            journal.notice("The note %s cannot be written: %s", path, error)

    def drop(self, subject: str) -> None:
        """Forgets it, if it is there."""
        path = self._path(subject)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            journal.notice("The note %s cannot be removed: %s", path, error)

    def _path(self, subject: str) -> Path:
        """Subjects are URLs, among other things, and as long as these."""
        return self._directory / f"{hashlib.sha256(subject.encode()).hexdigest()}.json"
