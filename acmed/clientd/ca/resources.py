# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a CA has what: by its directory, which is kept from run to run, and fetched where it may be wrong."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from acmed import journal
from acmed.clientd.ca import keptdirectory
from acmed.clientd.ca.directory import Directory, directory
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.notes import Notes

_DIRECTORY_LIFETIME = 3600.0  # seconds
_MOVED = (404, 405, 410)  # what a resource answers that is elsewhere now
# What may be asked for by a directory that was kept, as its answers tell when that is wrong. The others are rare.
_OFTEN = ("newNonce", "newOrder", "newAuthz", "renewalInfo")
# Types of errors by which a CA says that its directory is another one now, and nothing that can be read ("").
_OUTDATED = ("", "invalidProfile", "userActionRequired")

T = TypeVar("T")


@dataclass(frozen=True)
class _Known:
    """A directory, good until then (monotonic). fetched: by this process, else it was kept."""

    directory: Directory
    until: float
    fetched: bool


class Resources:
    """Those of one CA. fetch gets the directory; check raises Unreachable for a URL that is not of the CA's origin."""

    def __init__(
        self, directory_url: str, fetch: Callable[[], Awaitable[Answer]], check: Callable[[str], None], notes: Notes
    ) -> None:
        self._directory_url = directory_url
        self._fetch_answer = fetch
        self._check = check
        self._notes = notes
        self._known: _Known | None = None
        self._has_looked = False  # for one that was kept: what proved wrong is not taken again
        self._fetching = asyncio.Lock()

    async def directory(self, fetched: bool = False) -> Directory:
        """The directory: the one that was kept, else fetched when it is not there or older than an hour. fetched: not
        the one that was kept. Raises Unreachable or AcmeError.
        """
        return (await self._current(fetched)).directory

    async def fresh(self) -> Directory:
        """The directory, as the CA has it now. Raises as directory()."""
        async with self._fetching:
            self._known, self._has_looked = await self._fetch(), True
            return self._known.directory

    async def url(self, name: str) -> str:
        """The URL of a resource in the directory (newOrder). Raises Unreachable where the CA has none, or at an origin
        that is not its own; the next one who asks gets to know whether that is still so.
        """
        return (await self._find(name))[0]

    async def located(self, name: str, ask: Callable[[str], Awaitable[T]]) -> T:
        """What ask gives for the URL of a resource; asked once more where that is no longer the resource's URL.

        A directory that was kept proves right by the answers of its resources: it is fetched after one that it may be
        to blame for. So it never costs more than to fetch it at first.
        """
        url, known = await self._find(name)
        try:
            return await ask(url)
        except (AcmeError, Unreachable) as error:
            if not _is_doubtful(name, known, error):
                raise
            if self._known is known:  # else another caller has had it fetched
                self._known = None
            if await self.url(name) == url:
                raise
            journal.notice("The CA has moved %s, which was at %s", name, url)
        return await ask(await self.url(name))

    async def _find(self, name: str) -> tuple[str, _Known]:
        """The URL of a resource, and the directory that has it. Raises as url()."""
        known = await self._current(fetched=name not in _OFTEN)
        url = known.directory.resources.get(name)
        try:
            if url is None:
                raise Unreachable(self._directory_url, f"this CA has no {name}")
            self._check(url)
        except Unreachable:
            self._known = None
            raise
        return url, known

    async def _current(self, fetched: bool) -> _Known:
        """As directory()."""
        async with self._fetching:
            if not self._has_looked:
                self._known, self._has_looked = self._kept(), True
            known = self._known
            if known is None or time.monotonic() > known.until or (fetched and not known.fetched):
                known = self._known = await self._fetch()
            return known

    async def _fetch(self) -> _Known:
        answer = await self._fetch_answer()
        found = directory(answer)
        keptdirectory.save(self._notes, self._directory_url, answer)
        return _Known(found, time.monotonic() + _DIRECTORY_LIFETIME, fetched=True)

    def _kept(self) -> _Known | None:
        """What another process has kept, if it is as it was when it was fetched: with no URL of a foreign origin."""
        found = keptdirectory.load(self._notes, self._directory_url)
        if found is None:
            return None
        known, left = found
        try:
            for name in _OFTEN:
                if name in known.resources:
                    self._check(known.resources[name])
        except Unreachable:
            return None
        return _Known(known, time.monotonic() + left, fetched=False)


def _is_doubtful(name: str, known: _Known, error: AcmeError | Unreachable) -> bool:
    """Whether what a resource answered may be because it is not the CA's any more."""
    is_moved = isinstance(error, AcmeError) and error.status in _MOVED
    if known.fetched:
        return is_moved and name != "renewalInfo"  # there it is about the certificate
    if isinstance(error, Unreachable):
        return not error.lost
    return is_moved or (error.type in _OUTDATED and error.retry_after is None)  # else it is busy, and nothing more
