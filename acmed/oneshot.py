# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the programs have in common that acme-privd runs in transient units: each reads an order (JSON) from its
standard input, carries it out, and ends; what it has to say, mostly why it failed, it tells PID 1, and acme-privd reads
that (StatusText).
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

_MAX_TEXT = 1000  # characters


def order() -> dict[str, Any]:
    """What is to be done."""
    found: dict[str, Any] = json.load(sys.stdin)
    return found


def fail(text: str) -> NoReturn:
    """Says why on standard error and as the unit's status, and exits with 1."""
    line = tell(text)
    print(line, file=sys.stderr)
    sys.exit(1)


def tell(text: str) -> str:
    """Makes text, in one line, the unit's status (sd_notify(3)). The answer is that line."""
    line = " ".join(text.split())[:_MAX_TEXT]
    if address := os.environ.get("NOTIFY_SOCKET"):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.connect("\0" + address[1:] if address.startswith("@") else address)
            peer.send(b"STATUS=" + line.encode("utf-8", "replace"))
    return line


def explained(error: OSError, directory: str) -> str:
    """The file in a directory that an error is about, and what is wrong with it."""
    where = f"{directory}/{error.filename}" if error.filename and error.filename != directory else directory
    return f"{where}: {error.strerror}"


@contextmanager
def opened(wanted: dict[str, Any]) -> Iterator[int]:
    """A descriptor of the directory (directory, device, inode) that acme-privd has seen.

    Raises OSError, also where another one has come into its place since.
    """
    path = wanted["directory"]
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (wanted["device"], wanted["inode"]):
            raise OSError(0, "another directory came into its place", path)
        yield descriptor
    finally:
        os.close(descriptor)
