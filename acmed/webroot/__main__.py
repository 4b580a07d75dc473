# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in a transient unit that acme-privd starts. The order has directory, device and inode of the document root, the
token, and content, which is null to remove the token.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from acmed import oneshot

_BELOW = (".well-known", "acme-challenge")  # RFC 8555 section 8.3
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write(root: int, token: str, content: str) -> None:
    """Writes a token's file. Raises OSError, also where a symbolic link is in its way."""
    with _challenges(root, make=True) as descriptor:
        with suppress(FileNotFoundError):
            os.unlink(token, dir_fd=descriptor)
        with os.fdopen(os.open(token, _NEW_FILE, 0o644, dir_fd=descriptor), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)


def remove(root: int, token: str) -> None:
    """Removes a token's file; not an error where there is none. Raises OSError."""
    with suppress(FileNotFoundError), _challenges(root, make=False) as descriptor:
        os.unlink(token, dir_fd=descriptor)


@contextmanager
def _challenges(root: int, make: bool) -> Iterator[int]:
    """The directory of the tokens, reached without following a symbolic link below the document root."""
    descriptor = os.dup(root)
    try:
        for name in _BELOW:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=descriptor)
            inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def main() -> None:
    order = oneshot.order()
    try:
        with oneshot.opened(order) as root:
            if order["content"] is None:
                remove(root, order["token"])
            else:
                write(root, order["token"], order["content"])
    except OSError as error:
        oneshot.fail(oneshot.explained(error, order["directory"]))


if __name__ == "__main__":
    main()
