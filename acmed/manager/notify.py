# SPDX-License-Identifier: LGPL-2.1-or-later
"""Failures are told: in the journal (units/acmed.catalog has the texts), by a signal, and as [notify] says, which
acme-privd does.
"""

import asyncio
from dataclasses import replace

from acmed import journal
from acmed.bus.server import ObjectTree
from acmed.manager import clock, objectpaths, renewal
from acmed.manager.catalogue import Catalogue
from acmed.manager.clock import DAY
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.jobs import REVOKE, Job
from acmed.manager.remembered import Told
from acmed.manager.status import Status

_FAILED = "2f0c6f2fb1d84f5c8a6e9b7f6f0d3c51"
_EXPIRING = "a6f5d1c0c5f04b8ea7a1d0b4c2e87d36"
_REVOKED = "d41b3a6e0f2c4f7f9c58e1a7b93f6042"

_TIMEOUT = 120.0  # seconds: a mail, or a hook


class Notifier:
    """Who is told what, and that nobody is told the same again and again."""

    def __init__(self, tree: ObjectTree, catalogue: Catalogue, daemons: Daemons) -> None:
        self._tree = tree
        self._catalogue = catalogue
        self._daemons = daemons
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    async def drain(self) -> None:
        """Waits until everybody has been told."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def failed(self, job: Job, failure: Failure) -> None:
        """A job of a certificate's has failed; its state says so already. [notify] hears of the first failure in a row,
        and then once a day; not of a revocation, of which whoever asked for it knows.
        """
        status, now = self._catalogue.status(job.name), clock.now()
        state, retry = status.state, status.state.retry_at if status.is_waiting(now) else 0
        journal.error(
            "%s of %s: %s%s",
            job.record.type,
            job.name,
            failure,
            f"; the next attempt is at {clock.text(retry)}" if retry else "",
            message_id=_FAILED,
            result=failure.result,
            error=failure.name,
            failures=state.failures,
        )
        path = objectpaths.certificate(job.name)
        body = (job.name, path, failure.name, failure.message, retry)
        self._tree.emit(objectpaths.MANAGER, "CertificateFailed", *body)
        if job.record.type != REVOKE and not now - DAY < state.told.failed <= now:
            self._remember(status, replace(state.told, failed=now))
            self._notify(job.id, job.name, "failed", f"{failure.name}: {failure.message}")

    def look(self, status: Status, now: int) -> None:
        """Tells, once, of a certificate that should have been renewed by now, or that its CA wants replaced at once."""
        installed, told = status.installed, status.state.told
        if not installed or status.revoked:
            return
        window = status.window
        early = window and window.start and window.end <= now < renewal.planned(installed, None)
        if window and early and told.revoked != status.fingerprint:
            told = replace(told, revoked=status.fingerprint)
            reason = f"; why: {window.explanation}" if window.explanation else ""
            message = f"The CA wants {status.name} to be replaced at once, as if it were revoked{reason}"
            self._tell(status, told, "revoked", message, _REVOKED)
        if status.endangered(now) and told.expiring != status.fingerprint:
            told = replace(told, expiring=status.fingerprint)
            reason = ": " + ": ".join(filter(None, status.error)) if any(status.error) else ""
            message = (
                f"{status.name} should have been renewed at {clock.text(status.renew_at)}, and ends at "
                f"{clock.text(installed.not_after)}{reason}"
            )
            self._tell(status, told, "expiring", message, _EXPIRING)

    def _tell(self, status: Status, told: Told, event: str, message: str, message_id: str) -> None:
        self._remember(status, told)
        journal.warning("%s", message, message_id=message_id, certificate=status.name)
        self._notify(0, status.name, event, message)

    def _remember(self, status: Status, told: Told) -> None:
        try:
            self._catalogue.save(status.name, replace(self._catalogue.status(status.name).state, told=told))
        except Failure as failure:
            journal.error("%s", failure.message)

    def _notify(self, job: int, name: str, event: str, message: str) -> None:
        notify = self._catalogue.configuration.notify
        if notify.hook is None and notify.mail is None:
            return
        task = asyncio.get_running_loop().create_task(self._call(job, name, event, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, job: int, name: str, event: str, message: str) -> None:
        try:
            await self._daemons.priv(
                "Notify", timeout=_TIMEOUT, job=job, certificate=name, event=event, message=message
            )
        except Failure as failure:
            journal.error("Nobody was told of %s, as [notify] says: %s", name, failure.message, certificate=name)
