# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is counted at the CA of an account, which is kept in limits/ACCOUNT.json: times in seconds since the epoch, by
kind (the names of acmed.config.model.Limits) and by what it is about, "" for the account as a whole.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from acmed import journal
from acmed.config.model import Limits, Rate
from acmed.manager.known import jsonfile
from acmed.varlink.idl import parse

_SCHEMA = parse(
    """
interface org.acmed.Limits
type Held (kind: string, subject: string, since: int, asked: bool)
type Counted (orders: [string][]int, certificates: [string][]int, duplicates: [string][]int,
  failures: [string][]int, held: [string][]Held)
"""
)
_KINDS = tuple(asdict(Limits()))
_LATER: dict[str, Any] = {"held": {}}  # what is not in every file
# Seconds since the epoch: a clock that is before this was not set yet, as on a host that has none while it is off, and
# is waiting for NTP. Then all that was counted lies ahead, and is right.
_BUILT = int(Path(__file__).stat().st_mtime)


@dataclass(frozen=True)
class Held:
    """What counts before it is known whether it comes to pass. asked: the CA was asked for it, so that it may have."""

    kind: str
    subject: str
    since: int
    asked: bool = False


@dataclass
class Counted:
    """times: what came to pass. held: what is under way, by the name of the certificate (or of what is authorized)."""

    path: Path
    times: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    held: dict[str, list[Held]] = field(default_factory=dict)

    def add(self, kind: str, subject: str, moment: int) -> None:
        self.times.setdefault(kind, {}).setdefault(subject, []).append(moment)

    def under_way(self, but: str) -> dict[tuple[str, str], list[Held]]:
        """By kind and subject; not what one name has."""
        found: dict[tuple[str, str], list[Held]] = {}
        for name, some in self.held.items():
            for one in some if name != but else ():
                found.setdefault((one.kind, one.subject), []).append(one)
        return found

    def set_right(self, now: int) -> bool:
        """What lies ahead, as the clock was set back, becomes what is now: it is not forgotten, and lasts no longer
        than its period. Whether there was any. Of a clock that was not set yet it is left as it is.
        """
        if now < _BUILT:
            return False
        moments = [moment for subjects in self.times.values() for times in subjects.values() for moment in times]
        if max([*moments, *(one.since for some in self.held.values() for one in some)], default=0) <= now:
            return False
        for subjects in self.times.values():
            for times in subjects.values():
                times[:] = [min(moment, now) for moment in times]
        for some in self.held.values():
            some[:] = [replace(one, since=min(one.since, now)) for one in some]
        return True

    def write(self, limits: Limits, durable: bool = False) -> None:
        """But for what no limit looks at any more. A disk that is full is no reason to fail: all is remembered as long
        as acmed runs.
        """
        now = int(time.time())
        if now >= _BUILT:
            self.set_right(now)
            self._forget(limits, now)
        held = {name: [asdict(one) for one in some] for name, some in self.held.items()}
        try:
            jsonfile.write(self.path, {**self.times, "held": held}, durable)
        except OSError as error:
            journal.warning("Cannot write %s: %s", self.path, error.strerror or error)

    def _forget(self, limits: Limits, now: int) -> None:
        """What is held ends with its period, too."""
        for kind in _KINDS:
            rate: Rate | None = getattr(limits, kind)
            counted = self.times.get(kind, {}) if rate else {}
            times = {subject: within(counted[subject], rate, now)[-rate.count :] for subject in counted if rate}
            self.times[kind] = {subject: some for subject, some in times.items() if some}
        held = {name: [one for one in some if _lasts(one, limits, now)] for name, some in self.held.items()}
        self.held = {name: some for name, some in held.items() if some}


def read(path: Path) -> Counted:
    """Where the file cannot be read, counting begins anew, and the journal has why."""

    def decode(data: dict[str, Any]) -> Counted:
        return _decode(path, data)

    try:
        return jsonfile.read(path, decode) or Counted(path)
    except OSError as error:
        journal.error("Cannot read %s, so counting begins anew: %s", path, error.strerror or error)
        return Counted(path)


def _lasts(held: Held, limits: Limits, now: int) -> bool:
    rate: Rate | None = getattr(limits, held.kind)
    return rate is not None and bool(within([held.since], rate, now))


def within(times: Iterable[int], rate: Rate, now: int) -> list[int]:
    """Those that count now, oldest first."""
    return sorted(moment for moment in times if now - rate.seconds < moment <= now)


def _decode(path: Path, data: dict[str, Any]) -> Counted:
    if isinstance(data, dict):
        data = _LATER | data
    _SCHEMA.check(data, _SCHEMA.types["Counted"])
    held = {name: [Held(**one) for one in some] for name, some in data["held"].items()}
    unknown = {one.kind for some in held.values() for one in some}.difference(_KINDS)
    if unknown:
        raise ValueError(f"unknown kind {min(unknown)!r}")
    return Counted(path, {kind: data[kind] for kind in _KINDS}, held)
