# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests about certificates that there are, but for their revocation."""

from collections.abc import Mapping

from acmed.bus import Variant
from acmed.bus.server import Call
from acmed.manager import authority, clock, errors, jobs, options
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.known import providedkeys
from acmed.manager.requests import check, records
from acmed.manager.requests.desk import Desk, listed
from acmed.manager.requests.records import Record
from acmed.manager.upkeep.due import Due
from acmed.manager.upkeep.revocationcheck import RevocationCheck
from acmed.manager.ways.preflight import Finding
from acmed.manager.ways.validation import drop_order


class Certificates:
    """Renewal, and what else is asked for by a certificate's name."""

    def __init__(self, desk: Desk, due: Due, revocations: RevocationCheck) -> None:
        self._desk = desk
        self._due = due
        self._revocations = revocations

    async def renew(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Renews a certificate; where it is not due, puts its files back that are damaged, or delivers it to a service
        that has not got it.
        """
        values = options.read(given, {"force": "b", "new-key": "b", "min-days": "u"})
        force, min_days, desk = values.get("force", False), values.get("min-days"), self._desk
        if force and min_days is not None:
            raise options.invalid("force and min-days: the one renews at any time, the other at a time that it says")
        try:
            kind = self._plan_renewal(name, force, min_days)
        except Failure as failure:
            if failure.name != errors.NOT_DUE or not desk.catalogue.configured(name).key_file:
                raise
            kind = ""  # unless root has put another key there
        # A rule that lets nobody renew at any time must not be passed by a number of days.
        forced = kind == jobs.RENEW and not desk.catalogue.status(name).is_due(clock.now())
        uid = await desk.authority.check(call, authority.RENEW, force=str(forced).lower(), **desk.details(name))
        if not kind:
            await providedkeys.look([name], desk.catalogue, desk.tools.daemons)
        kind = self._plan_renewal(name, force, min_days)
        with desk.queue.hold(name) as number:
            desk.catalogue.wanted(name)
            new_key = values.get("new-key", False) or desk.catalogue.status(name).needs_new_key
            return desk.begin(number, kind, name, uid, new_key=new_key)

    async def renew_due(self, call: Call) -> list[Job]:
        """What the timer calls: all that there is to do, and the jobs that were interrupted."""
        due, perhaps = self._due.certificates()
        accounts, doubtful = self._due.authorizations(clock.now()), self._revocations.due()
        # What falls due meanwhile was not asked about.
        keyed = providedkeys.provided(self._desk.catalogue)
        names = sorted({*due, *perhaps, *keyed, *doubtful})
        identifiers = sorted({str(one) for account in accounts for one in account.authorize})
        uid = await self._desk.authority.check(
            call, authority.RENEW, certificate=listed(names), identifiers=listed(identifiers), force="false"
        )
        await providedkeys.look(keyed, self._desk.catalogue, self._desk.tools.daemons)
        self._due.look()
        started = [job for job in self._desk.queue.jobs if job.resumed]
        started += self._due.start(sorted({*due, *keyed}), uid)
        started += [job for account in accounts if (job := self._due.authorize(account.name, uid))]
        self._revocations.begin(doubtful, uid)
        await self._due.poll(perhaps)
        return started + self._due.start([name for name in perhaps if name not in due], uid)

    async def restore(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Puts published files back that are missing or were changed."""
        desk = self._desk
        options.read(given, {})
        desk.check_known(name)
        uid = await desk.authority.check(call, authority.RENEW, **desk.details(name))
        desk.check_known(name)
        with desk.queue.hold(name) as number:
            return desk.begin(number, jobs.RESTORE, name, uid)

    async def check(self, call: Call, name: str, given: Mapping[str, Variant]) -> list[Finding]:
        """Whether an order would succeed. Others are asked, and so it is not for everybody."""
        desk = self._desk
        options.read(given, {})
        desk.catalogue.configured(name)
        await desk.authority.check(call, authority.RENEW, **desk.details(name))
        certificate = desk.catalogue.configured(name)
        accounts = [desk.account(account) for account in certificate.accounts]
        return await check.findings(desk.tools, certificate, accounts)

    async def records(self, name: str, given: Mapping[str, Variant]) -> list[Record]:
        """What is to be published in DNS, once and for all."""
        options.read(given, {})
        return await records.lasting(self._desk.tools, self._desk.catalogue.configured(name))

    async def forget(self, call: Call, name: str) -> None:
        """Ends the management of a certificate. Its files stay."""
        desk = self._desk
        desk.check_known(name)
        await desk.authority.check(call, authority.CONFIGURE, **desk.details(name))
        desk.check_known(name)
        with desk.queue.hold(name) as number:
            await desk.tools.daemons.priv("Forget", job=number, certificate=name)
            desk.catalogue.forget(name)
            desk.catalogue.reload()
            await drop_order(desk.tools.daemons, number, name)

    def _plan_renewal(self, name: str, force: bool, min_days: int | None) -> str:
        """The type of the job that Renew starts."""
        desk = self._desk
        desk.catalogue.configured(name)
        desk.queue.check_free(name)
        status = desk.catalogue.status(name)
        if status.unreadable:
            raise Failure(errors.INSTALL_FAILED, status.unreadable)
        if force:
            return jobs.RENEW
        if status.damaged and not status.revoked:
            return jobs.RESTORE
        if status.is_due(clock.now(), min_days):
            return jobs.RENEW
        if status.undelivered:
            return jobs.DELIVER
        if min_days is not None and status.installed:
            until = clock.text(status.installed.not_after)
            raise Failure(errors.NOT_DUE, f"'{name}' is valid until {until}: it has more than {min_days} days left")
        raise Failure(errors.NOT_DUE, f"'{name}' is to be renewed at {clock.text(status.renew_at)}, not before")
