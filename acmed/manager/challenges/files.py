# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files for acme-http01 and acme-alpn01, which are other users and read them. What is in them is public."""

import os
from pathlib import Path

from acmed import journal
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.places import Places


def write(path: Path, content: str) -> None:
    """The CA hears of it later, so nobody reads half of it. Raises Failure."""
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
    except OSError as error:
        message = f"Cannot write the answer to a challenge to {path.parent}: {error.strerror}"
        raise Failure(errors.CHALLENGE_UNAVAILABLE, message) from error


def remove(path: Path) -> None:
    """Where that fails it is logged; nobody answers with it any more when the port is closed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        journal.error("Cannot remove %s: %s", path, error.strerror)


def sweep(places: Places) -> None:
    """Removes the files of a run that was killed. Its jobs present theirs again."""
    for directory in (places.tokens, places.answers):
        try:
            left = list(directory.iterdir())
        except OSError as error:
            journal.error("Cannot read %s: %s", directory, error.strerror)
            continue
        for path in left:
            remove(path)
