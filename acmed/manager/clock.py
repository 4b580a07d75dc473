# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times as the bus has them: microseconds since the epoch."""

import time
from datetime import UTC, datetime

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

LAST = 253_402_300_799 * SECOND  # the end of the year 9999, the last that can be shown


def now() -> int:
    return time.time_ns() // 1000


def shown(moment: int) -> int:
    """A moment that somebody else told, or where it is out of this world the next one that is not; never 0."""
    return min(max(moment, 1), LAST)


def text(moment: int) -> str:
    """For people: 2026-01-31 13:45 UTC."""
    return f"{datetime.fromtimestamp(moment / SECOND, UTC):%Y-%m-%d %H:%M} UTC"
