# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose turn it is: calls for the same certificate or account wait for each other.

Files are written, and keys are made, in threads, so that others are served meanwhile. But the cryptography of Debian 13
holds the interpreter's lock for the seconds that an RSA key takes: others have their turn between two that
certificates get.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from acmed import journal
from acmed.config.model import KeyType
from acmed.privd import lookup
from acmed.privd.permits import Permits
from acmed.privd.places import Places
from acmed.privd.refusal import host_errors

Answer = dict[str, Any]


class Turns:
    """What all handlers have."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._permits = Permits(places.permit_socket)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._rsa = asyncio.Lock()

    @asynccontextmanager
    async def _certificate(self, job: int, name: str) -> AsyncIterator[None]:
        """One at a time for a certificate; what the host prevents is InstallFailed."""
        lookup.checked_name(name, "certificate")
        with journal.fields(job=job, certificate=name), host_errors(name):
            async with self._locks[f"certificate {name}"]:
                yield

    @asynccontextmanager
    async def _making(self, key_type: KeyType) -> AsyncIterator[None]:
        """One certificate's RSA key at a time: threads that each make one would keep everybody else waiting until
        all of them are made.
        """
        async with self._rsa if key_type.name.startswith("RSA") else nullcontext():
            yield

    @asynccontextmanager
    async def _account(self, job: int, name: str) -> AsyncIterator[None]:
        """One at a time for an account; what the host prevents is InstallFailed."""
        lookup.checked_name(name, "account")
        with journal.fields(job=job, account=name), host_errors():
            async with self._locks[f"account {name}"]:
                yield
