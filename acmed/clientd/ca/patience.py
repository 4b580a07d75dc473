# SPDX-License-Identifier: LGPL-2.1-or-later
"""How often one request is sent again, and after which pauses."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from acmed import journal
from acmed.clientd.errors import AcmeError, ClientError, Unreachable
from acmed.clientd.limits import Limits

T = TypeVar("T")

_SHORTEST = 0.05  # seconds; no answer of a CA makes us ask in a hot loop


class Patience:
    """What one request may still cost. seconds: the time for it and its repetitions.

    repeatable: a 5xx answer to it does no harm when it comes twice.
    """

    def __init__(self, limits: Limits, seconds: float, repeatable: bool) -> None:
        self._limits = limits
        self._repeatable = repeatable
        self._end = time.monotonic() + seconds
        self._nonces = limits.nonce_tries
        self._waits = limits.waits
        self._backoff = list(limits.backoff)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self._end - time.monotonic(), _SHORTEST)

    def pause(self, error: ClientError) -> float | None:
        """Seconds until the request goes out again, or None: the error is the result."""
        pause = self._pause(error)
        return None if pause is None or time.monotonic() + pause > self._end else pause

    def _pause(self, error: ClientError) -> float | None:
        match error:
            case AcmeError(type="badNonce"):
                self._nonces -= 1
                return 0.0 if self._nonces > 0 else None
            case AcmeError(retry_after=float(wait), status=429 | 503) if wait <= self._limits.short_wait:
                self._waits -= 1
                return max(wait, _SHORTEST) if self._waits >= 0 else None
            case AcmeError(status=status, retry_after=None) if status >= 500 and self._backoff:
                return self._backoff.pop(0) if self._repeatable or error.unsent else None
            case Unreachable(lost=True) if self._backoff:
                return self._backoff.pop(0)
        return None


async def persist(attempt: Callable[[float], Awaitable[T]], patience: Patience) -> T:
    """Calls attempt, with the seconds that are left, until it succeeds or patience ends; raises its last error."""
    while True:
        try:
            return await attempt(patience.left)
        except ClientError as error:
            pause = patience.pause(error)
            if pause is None:
                raise
            journal.debug("Asking again in %g s: %s", pause, error)
            await asyncio.sleep(pause)
