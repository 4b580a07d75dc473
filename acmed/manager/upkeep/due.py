# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is to be done without being asked for by name: by the timer (RenewDue), after a job that calls for another one,
and when a certificate's next attempt comes within minutes, for which acmed waits itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from acmed import journal
from acmed.config import Account
from acmed.manager import clock, jobs
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Kind, Queue
from acmed.manager.known.state import JobRecord
from acmed.manager.known.status import Status, Work
from acmed.manager.notify import Notifier
from acmed.manager.tools import Tools
from acmed.manager.upkeep import ari
from acmed.manager.ways.authorize import subject

# The timer runs once an hour: what is due sooner is not left to it.
SOON = 15 * clock.MINUTE
# An authorization whose end the CA does not tell.
_AUTHORIZED = clock.DAY


class Due:
    """What is due, and the start of it."""

    def __init__(self, tools: Tools, queue: Queue, notifier: Notifier) -> None:
        self._tools = tools
        self._catalogue = tools.catalogue
        self._queue = queue
        self._notifier = notifier
        self._since = clock.now()

    def certificates(self) -> tuple[list[str], list[str]]:
        """Those that need something now, and those whose CA is to be asked whether they do."""
        due, perhaps = [], []
        for status in self._statuses():
            now = clock.now()
            work = status.work(now) if self._queue.is_free(status.name) else None
            if work:
                due.append(status.name)
            if work is not Work.RENEW and ari.wants(status, now):
                perhaps.append(status.name)
        return due, perhaps

    def authorizations(self, now: int) -> list[Account]:
        """The accounts that are to have names validated."""
        return [account for account in self._catalogue.configuration.accounts.values() if self._lacks(account, now)]

    def start(self, names: Iterable[str], uid: int) -> list[Job]:
        """Begins what there is to do for these certificates."""
        started = []
        for name in names:
            status = self._catalogue.status(name)
            work = status.work(clock.now())
            if work and self._queue.is_free(name):
                started.append(self._begin(status, work, uid))
        return started

    def look(self) -> None:
        """Tells of the certificates that are in danger."""
        for status in self._statuses():
            self._notifier.look(status, clock.now())

    def authorize(self, name: str, uid: int) -> Job | None:
        """Begins the validation of an account's names, unless it runs."""
        account = self._catalogue.configuration.accounts.get(name)
        if account is None or not self._lacks(account, clock.now()):
            return None
        what, identifiers = subject(name, account.authorize), tuple(map(str, account.authorize))
        with self._queue.hold(what, Kind.AUTHORIZATION) as number:
            return self._queue.start(
                JobRecord(number, jobs.AUTHORIZE, what, uid, clock.now(), account_name=name, identifiers=identifiers)
            )

    def authorized(self, job: Job, expires: int | None) -> None:
        """Remembers until when the names of an account are valid."""
        if self.is_scheduled(job):
            state = self._catalogue.account(job.record.account_name)
            until = expires or clock.now() + _AUTHORIZED
            changed = replace(state, authorized=job.record.identifiers, expires=until)
            self._catalogue.save_account(job.record.account_name, changed)

    def is_scheduled(self, job: Job) -> bool:
        """Whether a job authorizes what its account's configuration says."""
        account = self._catalogue.configuration.accounts.get(job.record.account_name)
        return account is not None and set(job.record.identifiers) == set(map(str, account.authorize))

    async def poll(self, names: Sequence[str]) -> None:
        """Asks CAs when these are to be renewed, and tells of those that are to be at once."""
        await ari.poll(names, self._catalogue, self._tools.daemons)
        for name in names:
            self._notifier.look(self._catalogue.status(name), clock.now())

    def follow_up(self, name: str, uid: int) -> None:
        """Begins the renewal that a revocation, or files that cannot be put back, call for."""
        if name not in self._catalogue.names:
            return
        status = self._catalogue.status(name)
        if status.work(clock.now(), restore=False) is Work.RENEW and self._queue.is_free(name):
            try:
                self._begin(status, Work.RENEW, uid)
            except Failure as failure:  # the timer tries it, too
                journal.error("%s was not ordered again: %s", name, failure.message, certificate=name)

    def replace_compromised(self, uid: int) -> None:
        """The same for those whose key is compromised, as it is that of another one that was revoked."""
        for status in self._statuses():
            if status.compromised:
                self.follow_up(status.name, uid)

    def next_retry(self) -> int:
        """When acmed is to try something again by itself, in microseconds since the epoch; 0 where that is not soon."""
        now = clock.now()
        moments = [
            *(status.state.retry_at for status in self._retries()),
            *(self._catalogue.account(account.name).retry_at for account in self._authorization_retries()),
        ]
        return min((moment for moment in moments if moment <= now + SOON), default=0)

    def retry(self, uid: int) -> None:
        """Begins what has waited long enough."""
        now = clock.now()
        self.start([status.name for status in self._retries() if status.state.retry_at <= now], uid)
        for account in self._authorization_retries():
            if self._catalogue.account(account.name).retry_at <= now:
                self.authorize(account.name, uid)

    def _retries(self) -> Iterator[Status]:
        """The certificates that an attempt failed for and that are to be tried again. What should have been before this
        run began is left to the timer, which may be what began it, and tells what came of it.
        """
        for status in self._statuses():
            retry_at = status.state.retry_at
            wanted = status.configured and not status.left_alone and status.state.failures and retry_at > self._since
            if wanted and self._queue.is_free(status.name) and status.is_due(retry_at):
                yield status

    def _authorization_retries(self) -> Iterator[Account]:
        """The accounts that the same is to be done for."""
        for account in self._catalogue.configuration.accounts.values():
            state = self._catalogue.account(account.name)
            if state.failures and state.retry_at > self._since and self._lacks(account, state.retry_at):
                yield account

    def _statuses(self) -> Iterator[Status]:
        return map(self._catalogue.status, sorted(self._catalogue.names))

    def _lacks(self, account: Account, now: int) -> bool:
        if not account.authorize or account.uri is None:
            return False
        state = self._catalogue.account(account.name)
        if state.waits_until(now):
            return False
        if set(map(str, account.authorize)) <= set(state.authorized) and now < state.expires:
            return False
        return self._queue.is_free(subject(account.name, account.authorize), Kind.AUTHORIZATION)

    def _begin(self, status: Status, work: Work, uid: int) -> Job:
        with self._queue.hold(status.name) as number:
            return self._queue.start(
                JobRecord(
                    number,
                    work.value,
                    status.name,
                    uid,
                    clock.now(),
                    new_key=work is Work.RENEW and status.needs_new_key,
                    before=status.fingerprint,
                )
            )
