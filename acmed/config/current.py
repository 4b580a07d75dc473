# SPDX-License-Identifier: LGPL-2.1-or-later
"""The accounts of the configuration as it is now, for those who stay: acme-keyd for as long as it is asked, a store for
days, with a key that somebody unlocked.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from acmed.config import Account
from acmed.config.document import Refused, files, read
from acmed.config.load import ETC, load
from acmed.config.table import Table


@dataclass(frozen=True)
class _Known:
    """An account, and the files that it is in."""

    account: Account
    files: frozenset[Path]


_TICK = 100_000_000  # nanoseconds, and more than one of any kernel
_Stamp = list[tuple[str, int, int]]  # path, inode, time of the last change (also of its mode) in nanoseconds


class CurrentAccounts(Mapping[str, Account]):
    """By name. The files are read again where one has changed since; configuration is all of what was read last.

    What cannot be understood changes nothing: a slip of somebody who edits an account, or a file that it may be in, is
    not the end of a key that somebody has unlocked.
    """

    def __init__(self, etc: Path = ETC) -> None:
        self._etc = etc
        self._accounts: dict[str, _Known] = {}
        self._read()

    def __getitem__(self, name: str) -> Account:
        if not self._is_settled or _stamp(self._etc) != self._stamp:
            self._read()
        return self._accounts[name].account

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    def _read(self) -> None:
        self._stamp = _stamp(self._etc)
        # Two changes in one tick may have the same time (inode_set_ctime_current() before Linux 6.13).
        self._is_settled = time.time_ns() - max((ctime for *_, ctime in self._stamp), default=0) > _TICK
        loaded = load(self._etc)
        self.configuration = loaded.configuration
        tables, unread = loaded.tables.account, _unread(self._etc) if loaded.problems else set()
        found = {name: _Known(one, _files(tables[name])) for name, one in loaded.configuration.accounts.items()}
        for name, known in self._accounts.items():
            is_broken = name in tables and name not in found
            if is_broken or any(path in unread or path.parent in unread for path in known.files):
                found[name] = replace(known, files=known.files | _files(tables[name])) if name in tables else known
        self._accounts = found


def _files(table: Table) -> frozenset[Path]:
    return frozenset(place.path for place in table.places.values())


def _unread(etc: Path) -> set[Path]:
    """The files that cannot be read as TOML, or their directory."""
    unread = set()
    try:
        paths = [etc / "acmed.toml", *files(etc / "acmed.toml.d")]
    except Refused as refusal:
        return {refusal.problem.path}
    for path in paths:
        try:
            read(path, etc)
        except FileNotFoundError:
            continue
        except Refused:
            unread.add(path)
    return unread


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
