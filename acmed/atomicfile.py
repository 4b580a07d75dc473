# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon's own files (mode 0600), each replaced as a whole.

acme-privd's (acmed/privd/files.py) have groups and modes besides, which a file has before anybody else can open it.
"""

import os
from pathlib import Path


def replace(path: Path, data: bytes, durable: bool = True) -> None:
    """The file has its old content or its new one at any time; durable: after a power failure too. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    new.rename(path)
    if durable:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
