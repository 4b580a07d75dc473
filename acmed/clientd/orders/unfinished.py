# SPDX-License-Identifier: LGPL-2.1-or-later
"""An order on its way from "pending" to its chain."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from acmed.clientd.ca.session import Session
from acmed.clientd.limits import Limits
from acmed.clientd.orders.store import KeptOrder, Store

# step (challenge, finalize, download), percent of the order, detail
Report = Callable[[str, int, str], Awaitable[None]]


@dataclass
class Unfinished:
    """certificate: its name here. order: as it is known now, which is what the store has."""

    session: Session
    store: Store
    certificate: str
    order: KeptOrder
    report: Report

    @property
    def limits(self) -> Limits:
        return self.session.authority.limits

    async def keep(self, order: KeptOrder) -> None:
        """The order is this one now."""
        if order != self.order:
            self.order = order
            await self.store.save(self.certificate, order)
