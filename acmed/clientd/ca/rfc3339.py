# SPDX-License-Identifier: LGPL-2.1-or-later
"""Timestamps as RFC 8555 and RFC 9773 have them (RFC 3339)."""

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(text: str) -> int:
    """Microseconds since the epoch; finer fractions are cut off. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:80]!r} is no timestamp of RFC 3339")
    date, minute, second, fraction, sign, hours, minutes = found.groups()
    since = timedelta(seconds=int(second), microseconds=int((fraction or "").ljust(6, "0")[:6]))
    if since >= timedelta(seconds=61):  # 60 is a leap second
        raise ValueError(f"{text!r} has too many seconds")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    local = datetime.fromisoformat(f"{date}T{minute}:00+00:00") - _EPOCH + since
    return (local + offset if sign == "-" else local - offset) // timedelta(microseconds=1)
