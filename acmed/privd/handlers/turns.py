# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose turn it is: calls for the same certificate or account wait for each other.

Files are written in threads, so that one certificate's RSA key holds up no other.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from acmed import journal
from acmed.privd import lookup
from acmed.privd.permits import Permits
from acmed.privd.places import Places
from acmed.privd.refusal import explained, host_errors, refusal

Answer = dict[str, Any]


class Turns:
    """What all handlers have."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._permits = Permits(places.permit_socket)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def _certificate(self, job: int, name: str) -> AsyncIterator[None]:
        """One at a time for a certificate; what the host prevents is InstallFailed."""
        lookup.checked_name(name, "certificate")
        with journal.fields(job=job, certificate=name), host_errors(name):
            async with self._locks[f"certificate {name}"]:
                yield

    @asynccontextmanager
    async def _account(self, job: int, name: str) -> AsyncIterator[None]:
        """One at a time for an account; what the host prevents is KeyUnavailable."""
        lookup.checked_name(name, "account")
        with journal.fields(job=job, account=name):
            try:
                async with self._locks[f"account {name}"]:
                    yield
            except OSError as error:
                raise refusal("KeyUnavailable", account=name, reason=explained(error)) from error
