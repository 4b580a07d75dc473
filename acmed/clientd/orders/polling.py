# SPDX-License-Identifier: LGPL-2.1-or-later
"""When to ask a CA again that is still busy."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import TimedOut
from acmed.clientd.limits import Limits

T = TypeVar("T")


class Deadline:
    """The end of a step (challenge or finalize), on the monotonic clock."""

    def __init__(self, step: str, seconds: float) -> None:
        self.step = step
        self._seconds = seconds
        self._begin = time.monotonic()

    async def sleep(self, seconds: float, subject: str, retry_after: float | None) -> None:
        """Sleeps; raises TimedOut at once where that would pass the deadline. subject: what is waited for. retry_after:
        what the CA said of it last (seconds), or None.
        """
        spent = time.monotonic() - self._begin
        if spent + seconds > self._seconds:
            words = f"{subject} after {spent:.0f} s"
            if retry_after is not None and spent + retry_after > self._seconds:
                words += (
                    f", and is to be asked again in {retry_after:.0f} s, which is past the {self._seconds:g} s for it"
                )
            raise TimedOut(self.step, f"{words}; the CA may still finish it", retry_after)
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
