# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts of many connections at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from acmed.keyd.far.hourly import Hourly, TooMany


def test_connections_at_once_are_counted_exactly(tmp_path: Path) -> None:
    """Each has its process with ssh; to flock(2), a thread that opens the file itself is as much another."""
    begin = threading.Barrier(20)

    def count(_: int) -> list[bool | None]:
        """Whether it was the last one; None where it was one too many."""
        begin.wait(60)
        found: list[bool | None] = []
        for _ in range(3):
            try:
                found.append(Hourly(tmp_path / "count", "signatures", 50).count())
            except TooMany:
                found.append(None)
        return found

    with ThreadPoolExecutor(20) as connections:
        counted = [one for found in connections.map(count, range(20)) for one in found]
    assert (counted.count(False), counted.count(True), counted.count(None)) == (49, 1, 10)
