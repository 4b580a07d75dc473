# SPDX-License-Identifier: LGPL-2.1-or-later
"""The accounts of the configuration as it is now: a store may stay for days, with a key that somebody unlocked."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from acmed.config import Account
from acmed.config.load import ETC, load

_Stamp = list[tuple[str, int, int]]  # path, inode, time of the last change (also of its mode) in nanoseconds


class Accounts(Mapping[str, Account]):
    """By name. The files are read again where one has changed since."""

    def __init__(self, etc: Path = ETC) -> None:
        self._etc = etc
        self._read()

    def __getitem__(self, name: str) -> Account:
        if _stamp(self._etc) != self._stamp:
            self._read()
        return self._accounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    def _read(self) -> None:
        self._stamp = _stamp(self._etc)
        self._accounts = load(self._etc).configuration.accounts


def _stamp(etc: Path) -> _Stamp:
    """What changes with the files that accounts are in."""
    found = []
    for path in [etc / "acmed.toml", *sorted(etc.glob("acmed.toml.d/*.toml"))]:
        try:
            status = path.stat()
        except OSError:  # gone, or a dangling link
            continue
        found.append((str(path), status.st_ino, status.st_ctime_ns))
    return found
