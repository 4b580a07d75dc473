# SPDX-License-Identifier: LGPL-2.1-or-later
"""When to ask a CA again that is still busy."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from acmed.clientd.errors import TimedOut
from acmed.clientd.limits import Limits
from acmed.clientd.transport import Answer

T = TypeVar("T")


class Deadline:
    """The end of a step (challenge or finalize), on the monotonic clock."""

    def __init__(self, step: str, seconds: float) -> None:
        self.step = step
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    async def sleep(self, seconds: float, subject: str) -> None:
        """Sleeps; raises TimedOut at once where that would pass the deadline. subject: what is waited for."""
        if time.monotonic() + seconds > self._end:
            raise TimedOut(self.step, f"{subject} after {self._seconds:g} s; the CA may still finish it")
        await asyncio.sleep(seconds)


def waiting(answer: Answer) -> str:
    """What goes on, for people."""
    return f"waiting for the CA (Retry-After {answer.retry_after:g} s)" if answer.retry_after else "waiting for the CA"


class Pace:
    """The pauses between the polls of one object.

    The first comes soon whatever the CA said when the work began: it costs one request, and mostly saves the wait.
    After that, an answer's Retry-After is honoured, but nothing makes us ask faster than a doubling pause.
    """

    def __init__(self, limits: Limits, first: float) -> None:
        self._limits = limits
        self._next = first
        self._first = True

    def pause(self, retry_after: float | None) -> float:
        """Seconds until the next poll, from the Retry-After of the last answer (None: it had none)."""
        pause = self._next if self._first else max(self._next, retry_after or 0.0)
        self._next = min(self._next * (1 if self._first else 2), self._limits.slowest_poll)
        self._first = False
        return pause


async def together(at_once: int, work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, of which so many are done at a time; the first error is raised, and the others are ended
    before that.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(item: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await item

    todo = list(work)
    tasks = [asyncio.ensure_future(one(item)) for item in todo]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for item in todo:
            item.close()  # those that were not begun
