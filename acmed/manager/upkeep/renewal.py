# SPDX-License-Identifier: LGPL-2.1-or-later
"""When to renew, and when to try again. All times: microseconds since the epoch."""

from acmed.manager.clock import DAY, HOUR, MINUTE, SECOND
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import Window

_SHORT = 10 * DAY
_DELAYS = (1 * MINUTE, 10 * MINUTE, 100 * MINUTE)
# After so many in a row haste is of no use. Let's Encrypt pauses an account for a name that has failed 1152 times in a
# row (letsencrypt.org/docs/rate-limits).
_URGENT = 200


def planned(installed: Installed, before: float | None) -> int:
    """When it is to be renewed where the CA says nothing: before (days, or as a float the share of the lifetime) its
    end. Else, and where that is longer than it lives, when a third of the lifetime is left, or a half where it is
    shorter than 10 days, as Let's Encrypt asks for.
    """
    lifetime = installed.not_after - installed.not_before
    left = lifetime // (2 if lifetime < _SHORT else 3)
    if before is not None:
        wanted = int(lifetime * before) if isinstance(before, float) else before * DAY
        left = wanted if wanted < lifetime else left
    return installed.not_after - left


def endangered_at(installed: Installed, before: float | None) -> int:
    """When half of the time is gone that there was for its renewal: from then on somebody should look at it."""
    begin = planned(installed, before)
    return begin + (installed.not_after - begin) // 2


def renew_at(installed: Installed, before: float | None, window: Window | None, settled: int = 0) -> int:
    """When to renew: in the CA's window where it gave one (RFC 9773), at what is planned where that is configured and
    earlier, and never so late that the certificate would be in danger. A window in the past means at once, but not
    before settled.
    """
    moment = planned(installed, before)
    if window is None or not window.start:
        return moment
    # Anywhere in it, so that no CA meets all hosts at once; the same moment whenever it is asked.
    share = int(window.fingerprint[:12], 16)
    chosen = max(window.start + ((window.end - window.start) * share >> 48), settled)
    return min(chosen, endangered_at(installed, before) if before is None else moment)


def settled_at(installed: Installed, now: int, former: int) -> int:
    """Until when no window of the CA's renews what was got just now; 0 for at once. It is a day, or a quarter of its
    lifetime, where the one before was not twice as old: all that follow could have their windows behind them, and such
    a CA gets its way once in that time. former: when that one was got.
    """
    young = min(DAY, (installed.not_after - installed.not_before) // 4)
    return now + young if now - former < 2 * young else 0


def retry_at(failures: int, failed: int, retry_after: int | None, end: int | None = None) -> int:
    """The earliest time for the next attempt by the timer: 1, 10, 100 minutes after the failure, then a day; later
    where the CA says so (retry_after: seconds). end: of what is to be renewed, which such a pause is not to pass over:
    it is an eighth of what is left at most, but not less than an hour.
    """
    delay = _DELAYS[failures - 1] if failures <= len(_DELAYS) else DAY
    if end is not None and failures <= _URGENT:
        delay = min(delay, max(HOUR, (end - failed) // 8))
    return failed + max(delay, (retry_after or 0) * SECOND)
