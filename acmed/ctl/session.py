# SPDX-License-Identifier: LGPL-2.1-or-later
"""One run of acmectl: how it prints, what it may ask, and its connection to acmed."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass

from acmed.bus import Bus
from acmed.ctl.agent import polkit_agent
from acmed.ctl.client import Acmed
from acmed.ctl.following import display
from acmed.ctl.following.follow import Follower
from acmed.ctl.output import Output


@dataclass(frozen=True)
class Session:
    """ask: polkit may ask a person. verbose: with the journal of the jobs."""

    output: Output
    acmed: Acmed
    ask: bool
    verbose: bool

    @classmethod
    @asynccontextmanager
    async def open(cls, output: Output, ask: bool, verbose: bool) -> AsyncIterator["Session"]:
        """Connects to the system bus. Raises BusLost."""
        bus = await Bus.connect()
        try:
            yield cls(output, Acmed(bus, ask), ask, verbose)
        finally:
            bus.disconnect()

    def asking(self) -> AbstractContextManager[None]:
        """Around each call that polkit may want to ask about."""
        return polkit_agent(self.ask)

    def follower(self) -> Follower:
        """What follows the jobs of this run; it is entered before they are started."""
        return Follower(self.acmed, display.choose(self.output), journal=self.verbose)
