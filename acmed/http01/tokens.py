# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pending tokens: acmed writes one file each, named by the token, with the key authorization in it."""

import os
import stat
from pathlib import Path

# A key authorization is a token, a dot and 43 characters (RFC 8555 section 8.1).
_MAX_SIZE = 4096


class Unreadable(Exception):
    """There is such a file, but it cannot be what acmed wrote; the message says why."""


def read(directory: Path, token: str) -> bytes | None:
    """The content of the file of a token, or None where there is none.

    token must be a file name without a slash. Raises Unreadable where it is not a regular file, is empty, has more
    than 4096 bytes, or may not be read.
    """
    path = directory / token
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable(f"{path} is not a regular file")
            content = os.read(descriptor, _MAX_SIZE + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    if not 0 < len(content) <= _MAX_SIZE:
        raise Unreadable(f"{path} is empty or has more than {_MAX_SIZE} bytes")
    return content
