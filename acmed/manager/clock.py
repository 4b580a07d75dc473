# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times as the bus has them: microseconds since the epoch."""

import time
from datetime import UTC, datetime

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


def now() -> int:
    return time.time_ns() // 1000


def text(moment: int) -> str:
    """For people: 2026-01-31 13:45 UTC."""
    return f"{datetime.fromtimestamp(moment / SECOND, UTC):%Y-%m-%d %H:%M} UTC"
