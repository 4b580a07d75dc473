# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a CA has revoked what is installed, and nobody told: its OCSP responder or its CRLs are asked (acme-clientd)
next to the timer, about once a day for each certificate, and not for all at once. What fails here fails nothing.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from acmed import journal, pem
from acmed.manager import clock, jobs
from acmed.manager.clock import DAY
from acmed.manager.errors import Failure
from acmed.manager.jobs import Queue
from acmed.manager.known.remembered import Checked
from acmed.manager.known.state import JobRecord
from acmed.manager.known.status import Status
from acmed.manager.notify import Notifier
from acmed.manager.tools import Tools
from acmed.reasons import PUBLISHED

# However long an answer may be good: it is believed for no longer.
_LONGEST = 7 * DAY
_FARTHEST = _LONGEST + DAY
# Seconds, for one (a CRL may be large) and for all of one run of the timer.
_TIMEOUT, _TIMEOUT_OF_ALL = 180.0, 900.0
_AT_ONCE = 2
_LONGEST_TEXT = 1000  # characters of what others say
_MAX_SIZE = 64 * 1024  # bytes of fullchain.pem


class RevocationCheck:
    """Asks while acmed does other things."""

    def __init__(self, tools: Tools, queue: Queue, notifier: Notifier) -> None:
        self._catalogue = tools.catalogue
        self._daemons = tools.daemons
        self._queue = queue
        self._notifier = notifier
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Whoever was not asked yet is asked by the next run."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def due(self) -> list[str]:
        """The certificates whose time has come to be asked about."""
        if self.busy:
            return []
        now = clock.now()
        return [status.name for status in self._statuses() if _is_known(status, now) and self._is_time(status, now)]

    def begin(self, names: Sequence[str], uid: int) -> None:
        """Has these asked about. uid: whose jobs come of it. Those that are new here get their time."""
        now = clock.now()
        for status in self._statuses():
            if status.installed and not _is_known(status, now):
                self._next(status, max(now, status.installed.not_before + DAY), within=DAY)
        if names and not self.busy:
            self._task = asyncio.get_running_loop().create_task(self._ask_all(names, uid))

    def _statuses(self) -> Iterator[Status]:
        return map(self._catalogue.status, sorted(self._catalogue.names))

    def _is_time(self, status: Status, now: int) -> bool:
        """It never is for one that is about to be replaced."""
        checked = status.state.checked
        if not status.configured or not checked or not 0 < checked.ask_at <= now:
            return False
        return not status.is_due(now) and self._queue.is_free(status.name)

    def _next(self, status: Status, moment: int, within: int = DAY // 12) -> None:
        """Remembers to ask in a while after that moment, which is another one for each certificate."""
        share = int(status.fingerprint[:12], 16)
        self._catalogue.checked(status.name, Checked(status.fingerprint, moment + (within * share >> 48)))

    async def _ask_all(self, names: Sequence[str], uid: int) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                await self._ask(name, uid)

        tasks = [asyncio.ensure_future(one(name)) for name in names]
        try:
            _, late = await asyncio.wait(tasks, timeout=_TIMEOUT_OF_ALL)
            journal.debug("%d certificates were looked up with their CAs, %d were not in time", len(tasks), len(late))
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):  # a full disk, or a defect
                    journal.exception("A certificate could not be looked up with its CA", outcome)

    async def _ask(self, name: str, uid: int) -> None:
        status = self._catalogue.status(name)
        fingerprint = status.fingerprint
        chain = _chain(self._catalogue.directory(name) / "fullchain.pem", fingerprint)
        if not status.configured or not status.installed:
            return
        # Whatever comes of it, also where acmed is killed meanwhile.
        self._next(status, clock.now() + DAY)
        if not chain:
            return
        account = status.account or status.configured.account
        try:
            answer = await self._daemons.client(
                "RevocationStatus", timeout=_TIMEOUT, job=0, account=account, certificate=name, chain=chain
            )
        except Failure as failure:
            journal.info("%s: whether it was revoked could not be asked: %s", name, failure.message, certificate=name)
            return
        status = self._catalogue.status(name)
        if not status.configured or status.fingerprint != fingerprint:
            return  # it was replaced meanwhile, or forgotten
        match answer["status"]:
            case "revoked":
                self._found(status, answer, uid)
            case "good":
                again = min(answer["askAgain"] or 0, clock.now() + _LONGEST)
                self._next(status, max(again, clock.now() + DAY))
            case "none":
                self._catalogue.checked(name, Checked(fingerprint, 0))
            case _:
                message = journal.printable(answer["message"])[:_LONGEST_TEXT]
                journal.info("%s: whether it was revoked is not known: %s", name, message, certificate=name)

    def _found(self, status: Status, answer: dict[str, Any], uid: int) -> None:
        """As if somebody had revoked it with acmectl: it has to be replaced, with another key."""
        name = status.name
        if status.revoked:
            return
        if not self._queue.is_free(name):
            self._catalogue.checked(name, Checked(status.fingerprint, clock.now()))
            return
        reason = answer["reason"] if answer["reason"] in PUBLISHED else 0
        source = journal.printable(answer["source"])[:_LONGEST_TEXT]
        since = f" at {clock.text(clock.shown(answer['revokedAt']))}" if answer["revokedAt"] else ""
        with self._queue.hold(name) as number:
            self._notifier.found_revoked(
                status, f"The CA has revoked {name}{since} ({PUBLISHED[reason]}), says {source}"
            )
            self._queue.start(
                JobRecord(
                    number,
                    jobs.REVOKE,
                    name,
                    uid,
                    clock.now(),
                    reason=reason,
                    before=status.fingerprint,
                    replace=True,
                    found=True,
                )
            )


def _is_known(status: Status, now: int) -> bool:
    """Whether it has a time. One that a clock gave it which was ahead is none."""
    checked = status.state.checked
    return checked is not None and checked.fingerprint == status.fingerprint and checked.ask_at <= now + _FARTHEST


def _chain(path: Path, fingerprint: str) -> str:
    """A certificate and who issued it (PEM); empty where it is not that certificate, or cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SIZE).decode("ascii")
        return text if hashlib.sha256(pem.amidst(text)[0]).hexdigest() == fingerprint else ""
    except (OSError, ValueError):
        return ""
