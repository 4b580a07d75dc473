# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls of which an order has many."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

_AT_ONCE = 8


async def at_once(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs all of it; the first error is raised, and the others are ended before that."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def to_the_end(work: Sequence[Coroutine[Any, Any, Any]]) -> None:
    """Runs calls that change something elsewhere, a few at once. After an error, or when the job is cancelled, no other
    one begins, and those that have begun are waited for: what they do must not come after it was undone.
    """
    gate, ended = asyncio.Semaphore(_AT_ONCE), False

    async def one(item: Coroutine[Any, Any, Any]) -> None:
        async with gate:
            if ended:
                item.close()
            else:
                await item

    tasks = [asyncio.ensure_future(one(item)) for item in work]
    everything = asyncio.gather(*tasks)
    try:
        await asyncio.shield(everything)
    except BaseException:
        ended = True
        await asyncio.gather(*tasks, return_exceptions=True)
        if not everything.cancelled():
            everything.exception()  # it has been raised here, or another one
        raise
