# SPDX-License-Identifier: LGPL-2.1-or-later
"""Follows jobs to their end, also over a restart of acmed: a job keeps its number, and acmed goes on with it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from acmed.bus import DBusError, Signal
from acmed.ctl.client import JOB, MANAGER, NAME, ROOT, Acmed, Objects, Started, plain
from acmed.ctl.exits import CommandError, Exit, for_error
from acmed.ctl.following.display import Display
from acmed.ctl.following.journaltail import JournalTail
from acmed.ctl.following.listen import Listener
from acmed.ctl.records import Account, Certificate, Error, Job

_PATIENCE = 60.0  # seconds for acmed to come back
_RETRY = 1.0  # seconds between two looks for it
_UNSEEN = "unseen"  # in place of a result that was not told


@dataclass(frozen=True)
class Outcome:
    """What came of one request. id is None where acmed refused it. result: a JobRemoved's, or "refused".

    certificate or account: how it is afterwards, None where it is not there. type: the job's, empty where not known.
    remark: what else is to be known of a job that is done.
    """

    name: str
    id: int | None
    result: str
    error: Error | None = None
    certificate: Certificate | None = None
    account: Account | None = None
    type: str = ""
    remark: str = ""


class Follower:
    """Made before a job is started, as its end may be told before the call that started it is answered."""

    def __init__(self, acmed: Acmed, display: Display, *, journal: bool = False, patience: float = _PATIENCE) -> None:
        self._acmed = acmed
        self._display = display
        self._journal = JournalTail(display.note, time.time()) if journal else None
        self._patience = patience
        self._jobs: dict[int, Job] = {}
        self._results: dict[int, str] = {}
        self._early: dict[str, dict[str, Any]] = {}
        self._vanished = False
        self._listener = Listener(acmed.bus, NAME, self._received, self._lost)

    async def __aenter__(self) -> "Follower":
        await self._listener.start(ROOT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()
        running = [number for number in self._jobs if number not in self._results]
        if isinstance(error, asyncio.CancelledError) and running:
            self._display.note(left_running(running))

    async def follow(self, started: Sequence[Started]) -> list[Outcome]:
        """Shows the jobs until each has ended. Raises CommandError (acmed does not come back), DBusError, BusLost."""
        for job in started:
            early = self._early.get(job.path, {})
            self._jobs[job.id] = Job(job.path, job.id, certificate=job.name).updated(early)
        if self._journal:
            self._journal.follow(list(self._jobs))
        self._vanished = not self._listener.owner
        await self._look()
        while not self._results.keys() >= self._jobs.keys():
            self._display.show([job for job in self._jobs.values() if job.id not in self._results])
            await self._listener.wait()
            if self._vanished:
                await self._look()
        self._display.close()
        if self._journal:
            await self._journal.close()
        objects = await self._objects()
        return [self._outcome(job, objects) for job in started]

    def _received(self, signal: Signal) -> None:
        if (signal.interface, signal.member) == (MANAGER, "JobRemoved"):
            number, _, _, result = signal.body
            self._results[number] = result
        elif signal.member == "InterfacesAdded" and JOB in signal.body[1]:
            self._changed(signal.body[0], plain(signal.body[1][JOB]))  # one that is over soon is not seen otherwise
        elif signal.member == "PropertiesChanged" and signal.body[0] == JOB:
            self._changed(signal.path, plain(signal.body[1]))

    def _changed(self, path: str, values: dict[str, Any]) -> None:
        number = next((job.id for job in self._jobs.values() if job.path == path), None)
        if number is None:
            self._early.setdefault(path, {}).update(values)
        else:
            self._jobs[number] = self._jobs[number].updated(values)

    def _lost(self) -> None:
        self._vanished = True

    async def _look(self) -> None:
        """Reads how the jobs are: for a step from before the subscription, and after a restart of acmed.

        One that acmed does not know has ended while nobody was told; where JobRemoved came, it came before the answer.
        """
        if self._vanished:
            self._display.note("acmed was stopped; waiting for it to come back")
        running = {job.id: job for job in (await self._objects()).jobs}
        for number, job in self._jobs.items():
            if number in running:
                current = running[number]
                self._jobs[number] = replace(current, certificate=job.certificate, error=current.error or job.error)
            else:
                self._results.setdefault(number, _UNSEEN)

    async def _objects(self) -> Objects:
        """All objects, when acmed has come back. Raises CommandError where it does not within the patience."""
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            self._vanished = False
            try:
                return await self._acmed.objects()  # the call starts acmed where nothing else does
            except DBusError as error:
                if for_error(error.name) is not Exit.UNREACHABLE:
                    raise
            if asyncio.get_running_loop().time() >= deadline:
                raise CommandError(
                    Exit.UNREACHABLE,
                    f"acmed did not come back within {self._patience:.0f} s.",
                    f"It goes on with {_numbered(list(self._jobs))} when it does: 'acmectl jobs'.",
                )
            await asyncio.sleep(_RETRY)

    def _outcome(self, started: Started, objects: Objects) -> Outcome:
        job, result = self._jobs[started.id], self._results[started.id]
        certificate = next((found for found in objects.certificates if found.name == started.name), None)
        certificate = None if started.names_only else certificate
        account = next((found for found in objects.accounts if found.name == started.name), None)
        error = None if result in ("done", "skipped") else job.error
        remark = job.detail if result == "done" or job.type == "revoke" else ""
        if started.account:
            if result == _UNSEEN:
                result, error = guess_account(account)
            return Outcome(started.name, started.id, result, error, account=account, type=job.type, remark=remark)
        if result == _UNSEEN:
            result, error = guess_certificate(job, started.before, certificate)
        elif result == "failed" and error is None and certificate:
            error = certificate.error
        return Outcome(started.name, started.id, result, error, certificate=certificate, type=job.type, remark=remark)


def guess_certificate(job: Job, before: str | None, certificate: Certificate | None) -> tuple[str, Error | None]:
    """The result of a job that ended while nobody was told, from how the certificate is now."""
    unknown = Error("org.freedesktop.DBus.Error.Failed", "acmed was stopped and does not know the job any more")
    if certificate is None:
        return "failed", unknown
    if certificate.error and certificate.error.time >= job.started:
        return "failed", certificate.error
    if job.type == "revoke":
        is_replaced = bool(before) and certificate.fingerprint != before
        return ("done", None) if certificate.state == "revoked" or is_replaced else ("failed", unknown)
    fresh = certificate.state == "valid" and (before is None or certificate.fingerprint != before)
    return ("done", None) if fresh else ("failed", unknown)


def guess_account(account: Account | None) -> tuple[str, Error | None]:
    """The same for an account: it has a URL when the CA knows it."""
    if account and account.uri:
        return "done", None
    return "failed", Error("org.freedesktop.DBus.Error.Failed", "acmed was stopped and does not know the job any more")


def left_running(jobs: Sequence[int]) -> str:
    """What is said on Ctrl-C."""
    cancel = "; ".join(f"acmectl cancel {job}" for job in jobs[:5])
    goes_on = "goes on" if len(jobs) == 1 else "go on"
    return f"{_numbered(jobs).capitalize()} {goes_on}. 'acmectl watch' shows more; to end: {cancel}"


def _numbered(jobs: Sequence[int]) -> str:
    """job 7, or jobs 7, 8"""
    return f"job{'s' if len(jobs) > 1 else ''} {', '.join(map(str, jobs))}"
