# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in a transient unit that acme-privd starts. Standard input is JSON: directory, token, and content, which is null
to remove the token. The exit status is 0, or the errno of what went wrong.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_BELOW = (".well-known", "acme-challenge")  # RFC 8555 section 8.3
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write(directory: str, token: str, content: str) -> None:
    """Writes a token's file. Raises OSError, also where a symbolic link is in its way."""
    with _challenges(directory, make=True) as descriptor:
        with suppress(FileNotFoundError):
            os.unlink(token, dir_fd=descriptor)
        with os.fdopen(os.open(token, _NEW_FILE, 0o644, dir_fd=descriptor), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)


def remove(directory: str, token: str) -> None:
    """Removes a token's file; not an error where there is none. Raises OSError."""
    with suppress(FileNotFoundError), _challenges(directory, make=False) as descriptor:
        os.unlink(token, dir_fd=descriptor)


@contextmanager
def _challenges(directory: str, make: bool) -> Iterator[int]:
    """The directory of the tokens, reached without following a symbolic link below the document root."""
    descriptor = os.open(directory, _DIRECTORY)
    try:
        for name in _BELOW:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=descriptor)
            inner = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def main() -> None:
    order = json.load(sys.stdin)
    try:
        if order["content"] is None:
            remove(order["directory"], order["token"])
        else:
            write(order["directory"], order["token"], order["content"])
    except OSError as error:
        print(f"{order['directory']}: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(error.errno or 1)


if __name__ == "__main__":
    main()
