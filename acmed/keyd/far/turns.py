# SPDX-License-Identifier: LGPL-2.1-or-later
"""One signature at a time, in a thread, as a token takes seconds; first come, first served."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")


class Turns:
    """Who has one turn at a time, as each client does, gets it again after all others who wait for theirs.

    The thread is a daemon: it keeps nobody from ending the program, as those of concurrent.futures would.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._serve, name="turns", daemon=True).start()

    async def take(self, work: Callable[[], Result]) -> Result:
        """What work returns, or raises. Where the wait for it is cancelled before it has begun, it is not done."""
        done: Future[Result] = Future()
        self._waiting.put(lambda: _do(work, done))
        return await asyncio.wrap_future(done)

    def _serve(self) -> None:
        while True:
            self._waiting.get()()


def _do(work: Callable[[], Result], done: "Future[Result]") -> None:
    if not done.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(result)
