# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which unit asked acme-keyd for a signature, which sees no more of it than a process number.

Numbers are used again, so a unit is named where the journal shows that it had this one before and afterwards: in
entries of that process, on which journald has stamped the unit's invocation, while PID 1 says that this invocation ran.
One entry is enough for acme-clientd, who asks, and has one process.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from acmed.ctl.audit.fields import text

# acme-keyd has a user namespace of its own (PrivateUsers=), in which users but root and itself look like this.
HIDDEN_UID = "65534"

_OF_ONE_PROCESS = "acme-clientd.service"

# systemd's own, sd-messages(3).
_BEGINS = ("7d4958e842da4a758f6c1cdc7b36dcc5", "39f53479d3a045ac8e11786248231fbf")  # starting, started
_ENDS = (
    "98e322203f7a4ed290d09fe03c09fe15",  # its process has ended
    "7ad2d189f7e94e70a38c781354912448",  # deactivated
    "d9b373ed55a64feb8242e02dbe79a49c",  # failed
    "9d1aaa27d60140bd96365438aad20286",  # stopped
)

Fields = Mapping[str, Any]


class Peers:
    """Looks into the journal, by a systemd.journal.Reader."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._lives: dict[tuple[str, str], tuple[float, float]] = {}

    def of(self, signature: Fields) -> Fields:
        """An entry of the process that asked for a signature of acme-keyd.service, or nothing."""
        boot, pid, at = text(signature, "_BOOT_ID"), text(signature, "ACME_PEER_PID"), _time(signature)
        if not boot or not pid:
            return {}
        around = [entry for entry in self._around(boot, pid, at) if self._ran(boot, entry, at)]
        if len({text(entry, "_SYSTEMD_INVOCATION_ID") for entry in around}) != 1:
            return {}
        # A process of another unit may have ended long before the unit did, and its number have gone to another one.
        if len(around) < 2 and text(around[0], "_SYSTEMD_UNIT") != _OF_ONE_PROCESS:
            return {}
        return around[0] if _is_user(text(signature, "ACME_PEER_UID"), text(around[0], "_UID")) else {}

    def _around(self, boot: str, pid: str, at: float) -> list[Fields]:
        """The entries of processes of this number next to that time."""
        self._match(_BOOT_ID=boot, _PID=pid)
        found: list[Fields] = []
        for step in (self._reader.get_next, self._reader.get_previous):
            self._reader.seek_realtime(at)
            found.append(step())
        return [entry for entry in found if entry]

    def _ran(self, boot: str, entry: Fields, at: float) -> bool:
        """Whether the invocation that an entry is of ran at that time (seconds since the epoch)."""
        key = boot, text(entry, "_SYSTEMD_INVOCATION_ID")
        if key not in self._lives:
            self._lives[key] = self._life(*key)
        begin, end = self._lives[key]
        return begin <= at <= end

    def _life(self, boot: str, invocation: str) -> tuple[float, float]:
        """When it began and ended; never, where PID 1 does not say when it began."""
        begin, end = math.inf, math.inf
        self._match(_BOOT_ID=boot, _PID="1", INVOCATION_ID=invocation)
        self._reader.seek_head()
        while said := self._reader.get_next():
            if text(said, "MESSAGE_ID") in _BEGINS:
                begin = min(begin, _time(said))
            if text(said, "MESSAGE_ID") in _ENDS:
                end = min(end, _time(said))
        return begin, end

    def _match(self, **fields: str) -> None:
        self._reader.flush_matches()
        for name, value in fields.items():
            self._reader.add_match(**{name: value})


def _time(entry: Fields) -> float:
    moment: datetime = entry["__REALTIME_TIMESTAMP"]
    return moment.timestamp()


def _is_user(seen: str, uid: str) -> bool:
    """Whether acme-keyd can have seen this user so."""
    return uid != "0" if seen == HIDDEN_UID else uid == seen
