# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times of the bus (microseconds since the epoch; 0 is none) as text: local for people, UTC for JSON."""

from datetime import UTC, datetime

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_USEC = 1_000_000


def iso(usec: int) -> str | None:
    """ISO 8601 in UTC with whole seconds (2026-02-19T07:00:00Z); None for 0."""
    moment = _moment(usec)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def local(usec: int) -> str:
    """2026-02-19 08:00 CET in the time zone of this process; "-" for 0."""
    moment = _moment(usec)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z") if moment else "-"


def relative(usec: int, now: float) -> str:
    """From now (seconds since the epoch): "in 89 days", "2 hours ago"; empty for 0. At least two of a unit."""
    if not _moment(usec):
        return ""
    left = usec / _USEC - now
    for length, unit in _UNITS:
        count = int(abs(left) / length)
        if count >= 2:
            return f"in {count} {unit}s" if left > 0 else f"{count} {unit}s ago"
    return "now"


def with_relative(usec: int, now: float) -> str:
    """Both: "2026-02-19 08:00 CET (in 89 days)"."""
    distance = relative(usec, now)
    return f"{local(usec)} ({distance})" if distance else local(usec)


def _moment(usec: int) -> datetime | None:
    if usec <= 0:
        return None
    try:
        return datetime.fromtimestamp(usec // _USEC, UTC)
    except (OverflowError, ValueError, OSError):
        return None
