# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account log: which unit it says has asked for a signature; tests/system has a journal."""

from datetime import UTC, datetime
from typing import Any

import pytest

from acmed.ctl.audit.peer import Peers

CLIENTD, OTHER = "acme-clientd.service", "other.service"
STARTING, SUCCEEDED = "7d4958e842da4a758f6c1cdc7b36dcc5", "7ad2d189f7e94e70a38c781354912448"


class Journal:
    """Entries of one boot in their order, read as by systemd.journal.Reader, which needs a journal."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._matches: dict[str, str] = {}
        self._next = 0

    def add(self, at: int, **fields: Any) -> None:
        self.entries.append({"__REALTIME_TIMESTAMP": datetime.fromtimestamp(at, UTC), "_BOOT_ID": "boot", **fields})
        self.entries.sort(key=lambda entry: entry["__REALTIME_TIMESTAMP"])

    def unit(self, name: str, begin: int, end: int | None = None) -> None:
        """PID 1 says so of an invocation."""
        for at, message_id in ((begin, STARTING), (end, SUCCEEDED)):
            if at is not None:
                self.add(at, _PID=1, _SYSTEMD_UNIT="init.scope", INVOCATION_ID=name[:2], MESSAGE_ID=message_id)

    def line(self, at: int, unit: str, uid: int = 61235, pid: int = 77) -> None:
        self.add(at, _PID=pid, _UID=uid, _SYSTEMD_UNIT=unit, _SYSTEMD_INVOCATION_ID=unit[:2])

    def peer(self, at: int, uid: str = "65534") -> str:
        """The unit of who asked for a signature at that time."""
        asked = {"__REALTIME_TIMESTAMP": datetime.fromtimestamp(at, UTC), "_BOOT_ID": "boot"}
        asked |= {"ACME_PEER_PID": "77", "ACME_PEER_UID": uid}
        return str(Peers(self).of(asked).get("_SYSTEMD_UNIT", ""))

    def flush_matches(self) -> None:
        self._matches = {}

    def add_match(self, **fields: str) -> None:
        self._matches |= fields

    def seek_head(self) -> None:
        self._next = 0

    def seek_realtime(self, at: float) -> None:
        earlier = [entry for entry in self.entries if entry["__REALTIME_TIMESTAMP"].timestamp() < at]
        self._next = len(earlier)

    def get_next(self) -> dict[str, Any]:
        for index in range(self._next, len(self.entries)):
            if self._fits(self.entries[index]):
                self._next = index + 1
                return self.entries[index]
        return {}

    def get_previous(self) -> dict[str, Any]:
        for index in range(self._next - 1, -1, -1):
            if self._fits(self.entries[index]):
                self._next = index
                return self.entries[index]
        return {}

    def _fits(self, entry: dict[str, Any]) -> bool:
        return all(str(entry.get(name)) == value for name, value in self._matches.items())


@pytest.fixture
def journal() -> Journal:
    return Journal()


def test_a_process_that_has_said_something_before_or_after(journal: Journal) -> None:
    journal.unit(CLIENTD, 100, 200)
    journal.line(150, CLIENTD)
    assert [journal.peer(at) for at in (99, 100, 140, 160, 200, 201)] == ["", *[CLIENTD] * 4, ""]


def test_one_that_still_runs(journal: Journal) -> None:
    journal.unit(CLIENTD, 100)
    journal.line(150, CLIENTD)
    assert journal.peer(100_000) == CLIENTD


def test_another_process_of_the_same_number(journal: Journal) -> None:
    """Minutes before, or after: a guess by the time alone was wrong."""
    journal.unit(OTHER, 100, 120)
    journal.line(105, OTHER)
    journal.line(115, OTHER)
    journal.unit(CLIENTD, 130, 200)
    assert journal.peer(140) == ""
    journal.line(150, CLIENTD)
    assert [journal.peer(at) for at in (110, 125, 140)] == [OTHER, "", CLIENTD]


def test_two_that_ran_at_once(journal: Journal) -> None:
    """Then it is open whose process it was."""
    journal.unit(OTHER, 100, 200)
    journal.line(110, OTHER)
    journal.unit(CLIENTD, 120, 200)
    journal.line(150, CLIENTD)
    assert journal.peer(140) == ""


def test_a_beginning_that_nobody_has_kept(journal: Journal) -> None:
    journal.line(150, CLIENTD)
    assert journal.peer(150) == ""
    journal.unit(CLIENTD, 100)
    assert journal.peer(150) == CLIENTD


def test_what_others_say_of_beginnings(journal: Journal) -> None:
    journal.line(150, CLIENTD)
    journal.add(100, _PID=78, _SYSTEMD_UNIT="init.scope", INVOCATION_ID=CLIENTD[:2], MESSAGE_ID=STARTING)
    assert journal.peer(150) == ""


def test_another_user(journal: Journal) -> None:
    """acme-keyd knows root, and that somebody else is not root."""
    journal.unit(CLIENTD, 100)
    journal.line(150, CLIENTD)
    assert journal.peer(150, uid="0") == ""
    journal.unit(OTHER, 300)
    journal.line(350, OTHER, uid=0)
    journal.line(370, OTHER, uid=0)
    assert journal.peer(360) == ""
    assert journal.peer(360, uid="0") == OTHER


def test_a_process_that_has_ended_before_its_unit(journal: Journal) -> None:
    """A child of cron's, say, whose number is somebody else's by now."""
    journal.unit(OTHER, 100)
    journal.line(110, OTHER)
    journal.unit(CLIENTD, 5000, 5100)
    assert journal.peer(5050) == ""
