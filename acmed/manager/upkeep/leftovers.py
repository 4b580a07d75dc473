# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is still presented although its job has ended: it is owed until it is withdrawn. The next job of the same name
does that first of all; without one it is tried after 1, 10 and 100 minutes, and then once a day for a month.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from acmed import journal
from acmed.manager import clock
from acmed.manager.challenges import put_away
from acmed.manager.jobs import Job
from acmed.manager.known.state import DIRECTORY, Owed, Presented, Store
from acmed.manager.tools import Tools
from acmed.manager.upkeep import renewal

_LONGEST = 30 * clock.DAY


@dataclass(frozen=True)
class _Ended:
    """A job that has ended, by its name."""

    name: str
    id: int = 0


class Leftovers:
    """Of all jobs."""

    def __init__(self, tools: Tools, store: Store) -> None:
        self._tools = tools
        self._store = store
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether something is being withdrawn."""
        return bool(self._tasks)

    def keep(self, job: Job) -> None:
        """Takes over what a job that ends has left, but for its files: those that a run leaves go with the next."""
        left = [one for one in job.record.presented if one.how != DIRECTORY]
        if left:
            now, earlier = clock.now(), self._store.owed.get(job.name)
            everything = tuple(dict.fromkeys((*(earlier.presented if earlier else ()), *left)))
            again = renewal.retry_at(1, now, None)
            self._save(job.name, Owed(everything, since=now, failures=1, tried=now, retry_at=again))

    async def hand_over(self, job: Job) -> None:
        """Gives a job what is left of an earlier one, to be withdrawn first of all. Raises Failure."""
        if task := self._tasks.get(job.name):
            await asyncio.wait([task])
        if owed := self._store.owed.get(job.name):
            journal.info("Answers to challenges of an earlier job for %s are left; they are withdrawn first", job.name)
            job.keep(presented=tuple(dict.fromkeys((*owed.presented, *job.record.presented))))
            self._forget(job.name)

    def retry(self) -> None:
        """Begins to withdraw what has waited long enough."""
        now = clock.now()
        for name, owed in self._waiting():
            if not owed.tried <= now < owed.retry_at:
                task = asyncio.ensure_future(self._withdraw(name, owed))
                self._tasks[name] = task
                task.add_done_callback(lambda _, name=name: self._tasks.pop(name))  # type: ignore[misc]

    def next_retry(self) -> int:
        """When something is to be tried again, in microseconds since the epoch; 0 for never."""
        return min((owed.retry_at for _, owed in self._waiting()), default=0)

    async def stop(self) -> None:
        """Leaves it to the next run."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _waiting(self) -> Iterator[tuple[str, Owed]]:
        return ((name, owed) for name, owed in self._store.owed.items() if name not in self._tasks)

    async def _withdraw(self, name: str, owed: Owed) -> None:
        with journal.fields(certificate=name):
            undone = await put_away(_Ended(name), self._tools, owed.presented)
            now, done = clock.now(), set(owed.presented) - set(undone)
            owed = self._store.owed[name]  # a job may have left more meanwhile
            left = tuple(one for one in owed.presented if one not in done)
            if not left:
                journal.notice("What was left of the answers to challenges of %s is withdrawn", name)
                self._forget(name)
            elif now - owed.since > _LONGEST:
                journal.error("It is not tried again to withdraw %s: remove it by hand", _text(left))
                self._forget(name)
            else:
                failures = owed.failures + 1
                again = renewal.retry_at(failures, now, None)
                self._save(name, replace(owed, presented=left, failures=failures, tried=now, retry_at=again))

    def _save(self, name: str, owed: Owed) -> None:
        try:
            self._store.save_owed(name, owed)
        except OSError as error:
            journal.error("Cannot write that %s is to be withdrawn: %s", _text(owed.presented), error.strerror)

    def _forget(self, name: str) -> None:
        """Where that fails, the next run does again what has been done, which is no error."""
        try:
            self._store.forget_owed(name)
        except OSError as error:
            journal.error("Cannot remove what was left of %s from acmed's state: %s", name, error.strerror)


def _text(presented: tuple[Presented, ...]) -> str:
    return ", ".join(f'"{one.value}" at {one.name or one.identifier}' for one in presented)
