# SPDX-License-Identifier: LGPL-2.1-or-later
"""Failures are told: in the journal (units/acmed.catalog has the texts), by a signal, and as [notify] says, which
acme-privd does.
"""

import asyncio
from dataclasses import replace

from acmed import journal
from acmed.bus.server import ObjectTree
from acmed.manager import clock
from acmed.manager.clock import DAY
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.jobs import REVOKE, Job
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.remembered import Told
from acmed.manager.known.status import Status
from acmed.manager.objects import objectpaths
from acmed.manager.upkeep import renewal

_FAILED = "2f0c6f2fb1d84f5c8a6e9b7f6f0d3c51"
_EXPIRING = "a6f5d1c0c5f04b8ea7a1d0b4c2e87d36"
_REVOKED = "d41b3a6e0f2c4f7f9c58e1a7b93f6042"
_FOUND_REVOKED = "5e0d7c1ab9964c1d8f3b62a07d1e94c8"
_NOT_AUTHORIZED = "7b1e94c25d0a4a3f8e6c2b90d4f7a815"
_AUTHORIZED = "c83f0a6de4b14b0f9a27d15e7c60b3f2"

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
        state, retry = status.state, status.state.waits_until(now)
        _log(job, job.name, failure, state.failures, retry, _FAILED)
        path = objectpaths.certificate(job.name)
        body = (job.name, path, failure.name, failure.message, retry)
        self._tree.emit(objectpaths.MANAGER, "CertificateFailed", *body)
        if job.record.type != REVOKE and not now - DAY < state.told.failed <= now:
            self._remember(status, replace(state.told, failed=now))
            self._notify(job.id, "certificate", job.name, "failed", f"{failure.name}: {failure.message}")

    def authorization_failed(self, job: Job, failure: Failure) -> None:
        """The names that an account is to have validated could not be; its state says so already. [notify] hears of it
        as of certificates.
        """
        name, now = job.record.account_name, clock.now()
        state = self._catalogue.account(name)
        retry = state.waits_until(now)
        names = ", ".join(job.record.identifiers)
        _log(job, names, failure, state.failures, retry, _NOT_AUTHORIZED)
        body = (name, objectpaths.account(name), failure.name, failure.message, retry)
        self._tree.emit(objectpaths.MANAGER, "AuthorizationFailed", *body)
        if not now - DAY < state.told <= now:
            self._catalogue.save_account(name, replace(state, told=now))
            self._notify(job.id, "account", name, "authorize-failed", f"{names}: {failure.name}: {failure.message}")

    def authorized_again(self, job: Job, told: bool) -> None:
        """They are valid after failures. told: of which [notify] has heard."""
        names = ", ".join(job.record.identifiers)
        journal.notice("%s: validated at last", names, message_id=_AUTHORIZED)
        if told:
            self._notify(job.id, "account", job.record.account_name, "authorized", names)

    def look(self, status: Status, now: int) -> None:
        """Tells, once, of a certificate that should have been renewed by now, or that its CA wants replaced at once."""
        installed, told = status.ordered, status.state.told
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

    def found_revoked(self, status: Status, message: str) -> None:
        """Tells of a certificate that its CA has revoked by itself."""
        self._tell(status, replace(status.state.told, revoked=status.fingerprint), "revoked", message, _FOUND_REVOKED)

    def _tell(self, status: Status, told: Told, event: str, message: str, message_id: str) -> None:
        self._remember(status, told)
        journal.warning("%s", message, message_id=message_id, certificate=status.name)
        self._notify(0, "certificate", status.name, event, message)

    def _remember(self, status: Status, told: Told) -> None:
        try:
            self._catalogue.save(status.name, replace(self._catalogue.status(status.name).state, told=told))
        except Failure as failure:
            journal.error("%s", failure.message)

    def _notify(self, job: int, kind: str, name: str, event: str, message: str) -> None:
        """kind: certificate or account."""
        notify = self._catalogue.configuration.notify
        if notify.hook is None and notify.mail is None:
            return
        task = asyncio.get_running_loop().create_task(self._call(job, kind, name, event, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, job: int, kind: str, name: str, event: str, message: str) -> None:
        about = {"certificate": None, "account": None} | {kind: name}
        try:
            await self._daemons.priv("Notify", timeout=_TIMEOUT, job=job, **about, event=event, message=message)
        except Failure as failure:
            journal.error("Nobody was told of %s, as [notify] says: %s", name, failure.message, **{kind: name})


def _log(job: Job, subject: str, failure: Failure, failures: int, retry_at: int, message_id: str) -> None:
    journal.error(
        "%s of %s: %s%s",
        job.record.type,
        subject,
        failure,
        f"; the next attempt is at {clock.text(retry_at)}" if retry_at else "",
        message_id=message_id,
        result=failure.result,
        error=failure.name,
        failures=failures,
    )
