# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in a transient unit that acme-privd starts. The order has directory, device and inode of the challenge
directory, zone, host, value, and present: whether the value is to be there or not.
"""

import json
import os
import stat
from contextlib import suppress

from acmed import oneshot

_MAX_SIZE = 1024 * 1024  # bytes
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Unusable(Exception):
    """The file is not one of ours, or has no room; the message says why."""


def change(directory: int, zone: str, host: str, value: str, present: bool) -> None:
    """Makes the file have the value for the host, or not. Raises OSError or Unusable."""
    values = read(directory, zone)
    changed = added(values, host, value) if present else removed(values, host, value)
    if changed == values:
        return
    if changed:
        _replace(directory, zone, json.dumps(changed))
    else:
        os.unlink(zone, dir_fd=directory)
    os.fsync(directory)


def read(directory: int, zone: str) -> dict[str, str]:
    """What the file says; nothing where there is none. Raises OSError or Unusable."""
    try:
        descriptor = os.open(zone, _OLD_FILE, dir_fd=directory)
    except FileNotFoundError:
        return {}
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable(f"{zone} is not a plain file")
        content = file.read(_MAX_SIZE + 1)
    try:
        values = json.loads(content) if len(content) <= _MAX_SIZE else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise Unusable(f"{zone} does not have one JSON object of hosts and values")
    return values


def added(values: dict[str, str], host: str, value: str) -> dict[str, str]:
    """With a value for the host's record, which may have two. Raises Unusable where it has two others."""
    places = (host, f"*.{host}")
    if value in (values.get(place) for place in places):
        return values
    for place in places:
        if place not in values:
            return {**values, place: value}
    raise Unusable(f"two other orders have values for _acme-challenge.{host} in it, and it has room for no more")


def removed(values: dict[str, str], host: str, value: str) -> dict[str, str]:
    """Without that value for the host's record."""
    places = (host, f"*.{host}")
    return {place: other for place, other in values.items() if place not in places or other != value}


def _replace(directory: int, zone: str, content: str) -> None:
    temporary = f".{zone}.acmed-new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    try:
        with os.fdopen(os.open(temporary, _NEW_FILE, 0o644, dir_fd=directory), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, zone, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def main() -> None:
    order = oneshot.order()
    try:
        with oneshot.opened(order) as directory:
            change(directory, order["zone"], order["host"], order["value"], order["present"])
    except OSError as error:
        oneshot.fail(oneshot.explained(error, order["directory"]))
    except Unusable as problem:
        oneshot.fail(f"{order['directory']}: {problem}")


if __name__ == "__main__":
    main()
