# SPDX-License-Identifier: LGPL-2.1-or-later
"""The queue: jobs that run, one at a time for each thing that they are about, on the bus while they do.

A job is kept in the state until it has ended, so that acmed takes it up again, with the same number, after SIGKILL.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol

from acmed import journal
from acmed.bus import errors as bus_errors
from acmed.bus.server import Call, Handler, ObjectTree
from acmed.bus.xml import load
from acmed.manager import clock, errors
from acmed.manager.errors import Failure
from acmed.manager.known.state import JobRecord, Store
from acmed.manager.objects import objectpaths

# Their types. ACCOUNT makes one.
ACCOUNT = "account"
AUTHORIZE = "authorize"
DEACTIVATE_ACCOUNT = "deactivate-account"
DELIVER = "deliver"
ORDER = "order"
RENEW = "renew"
RESTORE = "restore"
REVOKE = "revoke"
ROLLOVER_KEY = "rollover-key"
UPDATE_ACCOUNT = "update-account"

# As many run at once; the others wait at step "waiting".
_AT_ONCE = 64
# Characters of a detail, which may be what a CA or a DNS server said.
_LONGEST = 500


class Kind(StrEnum):
    """What a job is about, and no other job meanwhile."""

    CERTIFICATE = "certificate"
    ACCOUNT = "account"
    AUTHORIZATION = "authorization"  # of names; its own name is authorize.subject()'s
    FOREIGN = "foreign"  # a certificate that is not installed here, by its fingerprint


_ACCOUNT_TYPES = (ACCOUNT, DEACTIVATE_ACCOUNT, ROLLOVER_KEY, UPDATE_ACCOUNT)

Subject = tuple[Kind, str]
Challenges = list[list[str]]


class Job:
    """A job that runs; org.acmed1.Job. detail: what is to be known about its step; note: the same, until it ends."""

    def __init__(self, queue: "Queue", record: JobRecord, resumed: bool) -> None:
        self.interface = load()["org.acmed1.Job"]
        self.record = record
        self.resumed = resumed
        self.step = "waiting"
        self.progress = 0
        self.challenges: Challenges = []
        self.detail = ""
        self.note = ""
        self.deadline = 0
        self.error: tuple[str, str] = ("", "")
        self.committed = False
        self.canceled = False
        self._queue = queue

    @property
    def id(self) -> int:
        return self.record.id

    @property
    def name(self) -> str:
        """Of what it is about."""
        return self.record.name

    @property
    def path(self) -> str:
        return objectpaths.job(self.id)

    @property
    def kind(self) -> Kind:
        if self.record.type in _ACCOUNT_TYPES:
            return Kind.ACCOUNT
        if self.record.type == AUTHORIZE:
            return Kind.AUTHORIZATION
        return Kind.FOREIGN if self.record.der and not self.record.before else Kind.CERTIFICATE

    @property
    def subject(self) -> Subject:
        """What no other job may work on meanwhile."""
        return self.kind, self.name

    @property
    def subject_path(self) -> str:
        """The object path of the certificate, or of the account, whose object may not be there yet."""
        if self.kind is Kind.CERTIFICATE:
            return objectpaths.certificate(self.name)
        return objectpaths.account(self.record.account_name or self.name)

    def report(
        self,
        step: str,
        progress: int,
        challenges: Challenges | None = None,
        *,
        detail: str | None = None,
        within: float | None = None,
    ) -> None:
        """Tells where it is. progress: percent; it never goes back. within: the step ends in so many seconds at the
        latest. What is None stays as it was, or becomes nothing when the step is another one.
        """
        if step != self.step:
            self.detail, self.deadline = "", 0
        self.step, self.progress = step, max(self.progress, min(progress, 100))
        if challenges is not None:
            self.challenges = challenges
        if detail is not None:
            self.detail = journal.printable(detail)[:_LONGEST]
        if within is not None:
            self.deadline = clock.now() + int(within * clock.SECOND)
        journal.debug("%s %s: %s, %d %%; %s", self.record.type, self.name, step, self.progress, self.detail)
        self._queue.tree.refresh(self.path)

    def remark(self, note: str) -> None:
        """Tells what is to be known about it until it ends."""
        self.note = journal.printable(note)[:_LONGEST]
        self._queue.tree.refresh(self.path)

    def keep(self, durable: bool = True, **changes: Any) -> None:
        """Remembers something about it for when it is taken up again. Raises Failure."""
        self.record = replace(self.record, **changes)
        try:
            self._queue.store.save_job(self.record, durable)
        except OSError as error:
            raise Failure(bus_errors.FAILED, f"Cannot write the state of job {self.id}: {error.strerror}") from error

    def commit(self) -> None:
        """From here on it cannot be cancelled: what it does is about to be seen by others."""
        self.committed = True

    def methods(self) -> Mapping[str, Handler]:
        return {"Cancel": self._cancel}

    def properties(self) -> Mapping[str, Any]:
        return {
            "Id": self.id,
            "Type": self.record.type,
            "Certificate": [self.name, self.subject_path],
            "StartedByUID": self.record.uid,
            "StartTimestamp": self.record.started,
            "Step": self.step,
            "Progress": self.progress,
            "Challenges": [list(challenge) for challenge in self.challenges],
            "Detail": "; ".join(filter(None, (self.note, self.detail))),
            "Deadline": self.deadline,
            "Error": list(self.error),
        }

    async def _cancel(self, call: Call) -> None:
        await self._queue.owner.may_cancel(call, self)
        self._queue.cancel(self)


class Owner(Protocol):
    """Whose jobs they are."""

    async def work(self, job: Job) -> None:
        """Does a job. Raises Failure."""

    async def canceled(self, job: Job) -> None:
        """A job was cancelled, and is about to end."""

    def ended(self, job: Job, result: str, failure: Failure | None) -> None:
        """A job has ended like this. Not told of those that were only interrupted."""

    def refresh(self, job: Job) -> None:
        """The object that a job is about has got one, or lost it."""

    async def may_cancel(self, call: Call, job: Job) -> None:
        """Raises DBusError where a caller may not cancel a job."""


class Queue:
    """Runs jobs. owner is to be set before the first is started."""

    owner: Owner

    def __init__(self, tree: ObjectTree, store: Store) -> None:
        self.tree = tree
        self.store = store
        self.last_end = asyncio.get_running_loop().time()
        self._jobs: dict[Subject, Job] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._held: set[Subject] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def jobs(self) -> list[Job]:
        """Those that run or wait, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: job.id)

    def find(self, name: str, kind: Kind = Kind.CERTIFICATE) -> Job | None:
        """The job that works on this."""
        return self._jobs.get((kind, name))

    def check_free(self, name: str, kind: Kind = Kind.CERTIFICATE) -> None:
        """Raises Failure Busy where something is being done with it."""
        subject = (kind, name)
        if job := self._jobs.get(subject):
            raise Failure(errors.BUSY, f"Job {job.id} ({job.record.type}) works on '{name}' now")
        if subject in self._held:
            raise Failure(errors.BUSY, f"Another caller is changing '{name}' now")

    def is_free(self, name: str, kind: Kind = Kind.CERTIFICATE) -> bool:
        """Whether nothing is being done with it."""
        return (kind, name) not in self._jobs and (kind, name) not in self._held

    @contextmanager
    def hold(self, name: str, kind: Kind = Kind.CERTIFICATE) -> Iterator[int]:
        """Keeps others away from it, for what comes before its job; the value is a new number for that one. Raises
        Failure Busy.
        """
        self.check_free(name, kind)
        self._held.add((kind, name))
        try:
            yield self._number()
        finally:
            self._held.discard((kind, name))

    def start(self, record: JobRecord, resumed: bool = False) -> Job:
        """Begins a job, which is on the bus when this returns. Raises Failure."""
        job = Job(self, record, resumed)
        if not resumed:
            job.keep()
        self._jobs[job.subject] = job
        self.tree.add(job.path, job)
        self.tree.emit(objectpaths.MANAGER, "JobNew", job.id, job.path, job.name)
        self.owner.refresh(job)
        self._tasks[job.id] = asyncio.get_running_loop().create_task(self._run(job))
        return job

    def resume(self) -> None:
        """Takes up the jobs that were interrupted."""
        for record in self.store.jobs():
            journal.info("Job %d (%s %s) goes on", record.id, record.type, record.name, job=record.id)
            self.start(record, resumed=True)

    def cancel(self, job: Job) -> None:
        """Has a job end, with result "canceled". Raises Failure."""
        if self._jobs.get(job.subject) is not job:
            raise Failure(errors.NO_SUCH_JOB, f"Job {job.id} has ended")
        if job.committed:
            raise Failure(errors.BUSY, f"Job {job.id} is at its last steps, and cannot be cancelled any more")
        if not job.canceled:
            job.canceled = True
            self._tasks[job.id].cancel()

    async def interrupt(self) -> None:
        """Stops all jobs, and waits until they have put away what is presented. They go on when acmed is started."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        account = job.record.account_name or job.name
        what = {"certificate": job.name} if job.kind is Kind.CERTIFICATE else {"account": account}
        with journal.fields(job=job.id, **what):
            try:
                async with self._slots:
                    result, failure = await self._result(job)
            except asyncio.CancelledError:
                if not job.canceled:
                    self._tasks.pop(job.id)
                    return
                result, failure = "canceled", None
                with suppress(asyncio.CancelledError):  # acmed ends, too
                    await self.owner.canceled(job)
            self._end(job, result, failure)

    async def _result(self, job: Job) -> tuple[str, Failure | None]:
        try:
            await self.owner.work(job)
        except Failure as failure:
            return failure.result, failure
        except Exception as error:  # a defect must not end acmed, nor leave a job behind that never ends
            journal.exception(f"Job {job.id} failed", error)
            return "failed", Failure(bus_errors.FAILED, "An internal error occurred; the journal of acmed has it")
        return "done", None

    def _end(self, job: Job, result: str, failure: Failure | None) -> None:
        """Tells everybody. JobRemoved comes last: who waits for it finds everything else as it is to be."""
        job.error, job.detail = (failure.name, failure.message) if failure else ("", ""), ""
        self.owner.ended(job, result, failure)
        self.tree.refresh(job.path)
        self.store.remove_job(job.id)
        self.tree.remove(job.path)
        del self._jobs[job.subject], self._tasks[job.id]
        self.last_end = asyncio.get_running_loop().time()
        self.owner.refresh(job)
        self.tree.emit(objectpaths.MANAGER, "JobRemoved", job.id, job.path, job.name, result)

    def _number(self) -> int:
        try:
            return self.store.next_job()
        except OSError as error:
            raise Failure(bus_errors.FAILED, f"Cannot write acmed's state: {error.strerror}") from error
