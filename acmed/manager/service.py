# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed put together: what is on the bus follows what there is, and jobs are done."""

import asyncio
import os

from acmed import journal
from acmed.bus import Bus
from acmed.bus.server import Call, ObjectTree
from acmed.manager import clock, jobs, outcome
from acmed.manager.authority import Authority
from acmed.manager.challenges import sweep
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Kind, Queue
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.state import Store
from acmed.manager.limits.limiter import Limiter
from acmed.manager.notify import Notifier
from acmed.manager.objects import objectpaths
from acmed.manager.objects.accounts import AccountObject
from acmed.manager.objects.certificates import CertificateObject
from acmed.manager.objects.logcontrol import LogControl
from acmed.manager.objects.manager import ManagerObject
from acmed.manager.places import Places
from acmed.manager.requests import Accounts, Certificates, Desk, Orders, Revocations
from acmed.manager.tools import Tools
from acmed.manager.upkeep.due import SOON, Due
from acmed.manager.upkeep.leftovers import Leftovers
from acmed.manager.upkeep.revocationcheck import RevocationCheck
from acmed.manager.ways.authorize import authorize
from acmed.manager.ways.contact import update_contact
from acmed.manager.ways.deactivate import deactivate
from acmed.manager.ways.delivery import deliver
from acmed.manager.ways.order import order
from acmed.manager.ways.register import register
from acmed.manager.ways.restore import restore
from acmed.manager.ways.revoke import revoke, revoke_other
from acmed.manager.ways.rollover import rollover
from acmed.manager.ways.validation import drop_permit


class Service:
    """Everything but the bus name; jobs.Owner. Raises OSError where the state directory cannot be used."""

    def __init__(self, bus: Bus, places: Places, trusted: frozenset[int]) -> None:
        store = Store(places.state)
        self.catalogue = Catalogue(places, store)
        self.tree = ObjectTree(bus, objectpaths.MANAGER, self.catalogue.reload_if_changed)
        self.queue = Queue(self.tree, store)
        self.queue.owner = self
        self._places = places
        daemons = Daemons(places.priv_socket, places.client_socket, places.dns_socket)
        self._tools = Tools(self.catalogue, daemons, Limiter(places.state), places)
        daemons.disowned = self._disowned
        self._notifier = Notifier(self.tree, self.catalogue, daemons)
        self._due = Due(self._tools, self.queue, self._notifier)
        self._leftovers = Leftovers(self._tools, store)
        self._desk = Desk(Authority(bus, trusted), self._tools, self.queue)
        self._revocation_check = RevocationCheck(self._tools, self.queue, self._notifier)
        self._on_certificates = Certificates(self._desk, self._due, self._revocation_check)
        self._on_accounts = Accounts(self._desk)
        self._revocations = Revocations(self._desk)
        self._certificates: set[str] = set()
        self._accounts: set[str] = set()
        manager = ManagerObject(
            self._desk, Orders(self._desk), self._on_certificates, self._on_accounts, self._revocations
        )
        self.tree.add(objectpaths.MANAGER, manager)
        self.tree.add(objectpaths.LOG_CONTROL, LogControl())
        self._export()
        self.catalogue.reloaded = self._export

    @property
    def busy(self) -> bool:
        """Whether somebody waits for something."""
        own = self._notifier.busy or self._leftovers.busy or self._revocation_check.busy
        return self.tree.busy or bool(self.queue.jobs) or own

    def resume(self) -> None:
        """Goes on where a run that was killed ended."""
        sweep(self._places)
        self.queue.resume()

    def retry(self) -> float | None:
        """Begins what has waited long enough after a failure; seconds until there is more of that, None where it is not
        soon.
        """
        try:
            self._due.retry(os.getuid())
        except Failure as failure:  # the timer tries it, too
            journal.error("%s", failure.message)
            return None
        self._leftovers.retry()
        now = clock.now()
        moments = [one for one in (self._due.next_retry(), self._leftovers.next_retry()) if 0 < one <= now + SOON]
        return max(0.0, (min(moments) - now) / clock.SECOND) if moments else None

    async def drain(self) -> None:
        """Waits until everybody was answered, and told."""
        await self._leftovers.stop()
        await self._revocation_check.stop()
        await self.tree.drain()
        await self._notifier.drain()

    async def work(self, job: Job) -> None:
        tools = self._tools
        match job.record.type:
            case jobs.ORDER | jobs.RENEW:
                await self._leftovers.hand_over(job)
                await order(job, tools)
            case jobs.DELIVER:
                await deliver(job, tools)
            case jobs.RESTORE:
                await restore(job, tools)
            case jobs.REVOKE:
                await (revoke_other if job.kind is Kind.FOREIGN else revoke)(job, tools)
            case jobs.AUTHORIZE:
                await self._leftovers.hand_over(job)
                self._due.authorized(job, await authorize(job, tools))
            case jobs.ACCOUNT:
                await register(job, tools)
            case jobs.UPDATE_ACCOUNT:
                await update_contact(job, tools)
            case jobs.DEACTIVATE_ACCOUNT:
                await deactivate(job, tools)
            case jobs.ROLLOVER_KEY:
                await rollover(job, tools)

    async def canceled(self, job: Job) -> None:
        if job.record.type in (jobs.ORDER, jobs.RENEW, jobs.AUTHORIZE):
            await drop_permit(self._tools.daemons, job.id, job.name)

    def ended(self, job: Job, result: str, failure: Failure | None) -> None:
        self._leftovers.keep(job)
        if failure is None:
            journal.info("%s of %s: %s", job.record.type, job.name, result, result=result)
        is_ours = job.kind is Kind.CERTIFICATE and job.name in self.catalogue.names
        if is_ours and failure:
            is_ours = self._is_lasting(job, failure)
        is_scheduled = job.kind is Kind.AUTHORIZATION and self._due.is_scheduled(job)
        if failure and not is_ours and not is_scheduled:  # else the notifier tells it
            journal.error("%s of %s: %s", job.record.type, job.name, failure, result=result)
        if result == "canceled":
            return
        if result == "done":
            self._served(job)
        if job.record.type == jobs.REVOKE:
            asyncio.get_running_loop().call_soon(self._due.replace_compromised, job.record.uid)
        if is_ours:
            self._certificate_ended(job, failure)
        elif is_scheduled:
            self._authorization_ended(job, failure)

    def _is_lasting(self, job: Job, failure: Failure) -> bool:
        """Whether it is a failure of the certificate's. Of another one, only what the CA asked for is remembered."""
        status, now = self.catalogue.status(job.name), clock.now()
        if outcome.is_lasting(status, job.record.type, failure, now):
            return True
        try:
            self.catalogue.save(job.name, outcome.asked_to_wait(status.state, failure, now))
        except Failure as problem:
            journal.error("%s", problem.message)
        return False

    def _disowned(self, account: str) -> None:
        self.catalogue.disowned(account)
        self.tree.refresh(objectpaths.account(account))

    def _served(self, job: Job) -> None:
        """A CA has done something for an account, so it knows it."""
        if job.record.type in (jobs.ORDER, jobs.RENEW):
            account = self.catalogue.status(job.name).account
        elif job.record.type == jobs.AUTHORIZE:
            account = job.record.account_name
        else:
            return
        self.catalogue.served(account)
        self.tree.refresh(objectpaths.account(account))

    def _authorization_ended(self, job: Job, failure: Failure | None) -> None:
        before = self.catalogue.account(job.record.account_name)
        state = outcome.after_authorization(before, failure, clock.now())
        self.catalogue.save_account(job.record.account_name, state)
        if failure:
            self._notifier.authorization_failed(job, failure)
        elif before.failures:
            self._notifier.authorized_again(job, told=bool(before.told))

    def _certificate_ended(self, job: Job, failure: Failure | None) -> None:
        state = outcome.after(self.catalogue.status(job.name).state, job.record.type, failure, clock.now())
        try:
            self.catalogue.save(job.name, state)
            if failure is None and job.record.type in (jobs.ORDER, jobs.RENEW):
                self.catalogue.restored(job.name, changed=False)  # a run that was killed may not have come to it
        except Failure as problem:
            journal.error("%s", problem.message)
        if failure:
            self._notifier.failed(job, failure)
        if job.record.type in (jobs.REVOKE, jobs.RESTORE):
            # After the end of this job has been told.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._due.follow_up, job.name, job.record.uid)

    def refresh(self, job: Job) -> None:
        self.tree.refresh(job.subject_path)

    async def may_cancel(self, call: Call, job: Job) -> None:
        await self._desk.may_cancel(call, job)

    def _export(self) -> None:
        """Has an object for each certificate and account that there is, and none for others."""
        certificates, accounts = self.catalogue.names, set(self.catalogue.configuration.accounts)
        for name in self._certificates - certificates:
            self.tree.remove(objectpaths.certificate(name))
        for name in self._accounts - accounts:
            self.tree.remove(objectpaths.account(name))
        for name in sorted(certificates - self._certificates):
            certificate = CertificateObject(name, self.catalogue, self.queue, self._on_certificates, self._revocations)
            self.tree.add(objectpaths.certificate(name), certificate)
        for name in sorted(accounts - self._accounts):
            self.tree.add(objectpaths.account(name), AccountObject(name, self.catalogue, self._on_accounts))
        for path in map(objectpaths.certificate, certificates & self._certificates):
            self.tree.refresh(path)
        for path in map(objectpaths.account, accounts & self._accounts):
            self.tree.refresh(path)
        self._certificates, self._accounts = certificates, accounts
        self.tree.refresh(objectpaths.MANAGER)
