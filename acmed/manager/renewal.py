# SPDX-License-Identifier: LGPL-2.1-or-later
"""When to renew, and when to try again. All times: microseconds since the epoch."""

from acmed.manager.clock import DAY, MINUTE, SECOND

_SHORT = 10 * DAY
_DELAYS = (1 * MINUTE, 10 * MINUTE, 100 * MINUTE)


def renew_at(not_before: int, not_after: int) -> int:
    """When a third of the lifetime is left, or a half where it is shorter than 10 days, as Let's Encrypt asks for.

    Exact: acme-renew.timer spreads the load.
    """
    lifetime = not_after - not_before
    return not_after - lifetime // (2 if lifetime < _SHORT else 3)


def retry_at(failures: int, failed: int, retry_after: int | None) -> int:
    """The earliest time for the next attempt by the timer: 1, 10, 100 minutes after the failure, then a day; later
    where the CA says so (retry_after: seconds).
    """
    delay = _DELAYS[failures - 1] if failures <= len(_DELAYS) else DAY
    return failed + max(delay, (retry_after or 0) * SECOND)
