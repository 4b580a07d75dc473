# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed put together: what is on the bus follows what there is, and jobs are done."""

from acmed import journal
from acmed.bus import Bus
from acmed.bus.server import Call, ObjectTree
from acmed.manager import clock, jobs, objectpaths, outcome
from acmed.manager.accounts import AccountObject
from acmed.manager.authority import Authority
from acmed.manager.catalogue import Catalogue
from acmed.manager.certificates import CertificateObject
from acmed.manager.challenges import sweep
from acmed.manager.daemons import Daemons
from acmed.manager.delivery import deliver
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Queue
from acmed.manager.logcontrol import LogControl
from acmed.manager.manager import ManagerObject
from acmed.manager.order import order
from acmed.manager.places import Places
from acmed.manager.register import register
from acmed.manager.requests import Requests
from acmed.manager.revoke import revoke
from acmed.manager.state import Store
from acmed.manager.tools import Tools


class Service:
    """Everything but the bus name; jobs.Owner. Raises OSError where the state directory cannot be used."""

    def __init__(self, bus: Bus, places: Places, trusted: frozenset[int]) -> None:
        store = Store(places.state)
        self.catalogue = Catalogue(places, store)
        self.tree = ObjectTree(bus, objectpaths.MANAGER, self.catalogue.reload_if_changed)
        self.queue = Queue(self.tree, store)
        self.queue.owner = self
        self._places = places
        self._tools = Tools(self.catalogue, Daemons(places.priv_socket, places.client_socket), places.tokens)
        self._requests = Requests(Authority(bus, trusted), self._tools, self.queue)
        self._certificates: set[str] = set()
        self._accounts: set[str] = set()
        self.tree.add(objectpaths.MANAGER, ManagerObject(self.catalogue, self.queue, self._requests))
        self.tree.add(objectpaths.LOG_CONTROL, LogControl())
        self._export()
        self.catalogue.reloaded = self._export

    def resume(self) -> None:
        """Goes on where a run that was killed ended."""
        sweep(self._places.tokens)
        self.queue.resume()

    async def work(self, job: Job) -> None:
        match job.record.type:
            case jobs.ORDER | jobs.RENEW:
                await order(job, self._tools)
            case jobs.DELIVER:
                await deliver(job, self._tools)
            case jobs.REVOKE:
                await revoke(job, self._tools)
            case jobs.ACCOUNT:
                await register(job, self._tools)

    def ended(self, job: Job, result: str, failure: Failure | None) -> None:
        if failure:
            journal.error("%s of %s: %s", job.record.type, job.name, failure, result=result)
        else:
            journal.info("%s of %s: %s", job.record.type, job.name, result, result=result)
        if job.record.type == jobs.ACCOUNT or result == "canceled":
            return
        state = outcome.after(self.catalogue.status(job.name).state, job.record.type, failure, clock.now())
        try:
            self.catalogue.save(job.name, state)
        except Failure as problem:
            journal.error("%s", problem.message)

    def refresh(self, job: Job) -> None:
        self.tree.refresh(job.subject_path)
        self.tree.refresh(objectpaths.MANAGER)

    async def may_cancel(self, call: Call, job: Job) -> None:
        await self._requests.may_cancel(call, job)

    def _export(self) -> None:
        """Has an object for each certificate and account that there is, and none for others."""
        certificates, accounts = self.catalogue.names, set(self.catalogue.configuration.accounts)
        for name in self._certificates - certificates:
            self.tree.remove(objectpaths.certificate(name))
        for name in self._accounts - accounts:
            self.tree.remove(objectpaths.account(name))
        for name in sorted(certificates - self._certificates):
            certificate = CertificateObject(name, self.catalogue, self.queue, self._requests)
            self.tree.add(objectpaths.certificate(name), certificate)
        for name in sorted(accounts - self._accounts):
            self.tree.add(objectpaths.account(name), AccountObject(name, self.catalogue))
        for path in map(objectpaths.certificate, certificates & self._certificates):
            self.tree.refresh(path)
        for path in map(objectpaths.account, accounts & self._accounts):
            self.tree.refresh(path)
        self._certificates, self._accounts = certificates, accounts
        self.tree.refresh(objectpaths.MANAGER)
