# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Retry-After header field, in both of its forms (RFC 9110 section 10.2.3)."""

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

# Rate limits are counted over weeks at most. What acme-clientd itself waits for ends by deadlines of its own.
_LONGEST = 30 * 86400.0


def seconds(value: str | None, date: str | None) -> float | None:
    """Seconds to wait, from 0 to 30 days; None where the header field is absent or broken.

    An HTTP-date is taken against the answer's own Date, so that neither clock nor time zone of this host matters.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST)
    until = http_date(value)
    if until is None:
        return None
    now = http_date(date) if date else None
    return min(max(until - (time.time() if now is None else now), 0.0), _LONGEST)


def http_date(text: str) -> float | None:
    """Seconds since the epoch; None for what is no HTTP-date. The obsolete forms without a zone are UTC too."""
    try:
        parsed = parsedate_to_datetime(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
