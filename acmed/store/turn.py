# SPDX-License-Identifier: LGPL-2.1-or-later
"""One call at a time for a key. acme-keyd waits 12 s for an answer, so nobody is served who has waited too long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from acmed.store.opened import Unavailable

# Seconds: until it is a call's turn, so that there is time left for a signature, and what it may take then. All kinds
# of keys have deadlines of their own, which end before that.
_PATIENCE = 10.0
_WORK = 11.0


class Turn:
    """Who has the turn, and who waits for it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._present = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Raises Unavailable where the turn does not come in time; also where what is done in it takes too long, which
        is cancelled then.
        """
        self._present += 1
        try:
            await self._wait()
            try:
                async with asyncio.timeout(_WORK) as limit:
                    yield
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise Unavailable(f"nothing came of it within {_WORK:g} s") from error
            finally:
                self._lock.release()
        finally:
            self._present -= 1

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._lock.acquire()
        except TimeoutError as error:
            others = self._present - 1
            raise Unavailable(f"it is busy: after {_PATIENCE:g} s, others who wait for this key: {others}") from error
