# SPDX-License-Identifier: LGPL-2.1-or-later
"""What callers may have acmed do: each checks what was sent, asks polkit, and checks again, since a person may have
taken minutes to answer. What takes time becomes a job. The methods are those of org.acmed1(5).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acmed.bus import Variant
from acmed.bus.server import Call
from acmed.manager import authority, clock, errors, jobs, options
from acmed.manager.authority import Authority
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Queue
from acmed.manager.order import drop_order
from acmed.manager.revoke import REASONS
from acmed.manager.state import JobRecord
from acmed.manager.status import Status, Work
from acmed.manager.tools import Tools
from acmed.names import Identifier, default_certificate_name

_ACTIONS = {
    jobs.ORDER: authority.ORDER,
    jobs.RENEW: authority.RENEW,
    jobs.DELIVER: authority.RENEW,
    jobs.REVOKE: authority.REVOKE,
    jobs.ACCOUNT: authority.MANAGE_ACCOUNTS,
}


@dataclass(frozen=True)
class _Order:
    """What Order comes to. key_type and services are None where the caller left them to the defaults.

    configure: its file is to be written; replace: there is one, which says otherwise.
    """

    name: str
    identifiers: tuple[Identifier, ...]
    account: str
    key_type: str | None
    services: list[str] | None
    configure: bool
    replace: bool = False

    @property
    def details(self) -> dict[str, str]:
        services = {} if self.services is None else {"services": ",".join(self.services)}
        return services | {
            "certificate": self.name,
            "identifiers": ",".join(map(str, self.identifiers)),
            "account": self.account,
            "key_type": self.key_type or "",
        }


class Requests:
    """Every method raises DBusError, of which Failure is one."""

    def __init__(self, polkit: Authority, tools: Tools, queue: Queue) -> None:
        self._authority = polkit
        self._catalogue = tools.catalogue
        self._daemons = tools.daemons
        self._queue = queue

    async def order(self, call: Call, name: str, texts: list[str], given: Mapping[str, Variant]) -> Job:
        """Configures a certificate, unless it is as the call says, and orders it."""
        plan = self._plan_order(name, texts, given)
        uid = await self._authority.check(call, authority.ORDER, **plan.details)
        if plan != self._plan_order(name, texts, given):
            raise Failure(errors.BUSY, f"The configuration of '{plan.name}' changed meanwhile; look, and try again")
        with self._queue.hold(plan.name) as number:
            if plan.configure:
                await asyncio.gather(self._configure(number, plan), self._daemons.warm())
                self._catalogue.reload()
            self._catalogue.configured(plan.name)
            return self._start(number, jobs.ORDER, plan.name, uid)

    async def _configure(self, number: int, plan: _Order) -> None:
        await self._daemons.priv(
            "Configure",
            job=number,
            certificate=plan.name,
            names=[str(identifier) for identifier in plan.identifiers],
            account=plan.account,
            keyType=plan.key_type,
            services=plan.services,
            replace=plan.replace,
        )

    async def renew(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Renews a certificate; where it is not due and a service has not got it, delivers it."""
        values = options.read(given, {"force": "b", "new-key": "b"})
        force = values.get("force", False)
        self._plan_renewal(name, force)
        uid = await self._authority.check(call, authority.RENEW, force=str(force).lower(), **self._details(name))
        kind = self._plan_renewal(name, force)
        with self._queue.hold(name) as number:
            return self._start(number, kind, name, uid, new_key=values.get("new-key", False))

    async def renew_due(self, call: Call) -> list[Job]:
        """What the timer calls: all that there is to do, and the jobs that were interrupted."""
        names = [status.name for status, _ in self._due()]  # what falls due meanwhile was not asked about
        uid = await self._authority.check(call, authority.RENEW, certificate=",".join(names), force="false")
        started = [job for job in self._queue.jobs if job.resumed]
        for status, work in self._due():
            if status.name not in names:
                continue
            with self._queue.hold(status.name) as number:
                started.append(self._start(number, str(work), status.name, uid))
        return started

    async def revoke(self, call: Call, name: str, reason: int, given: Mapping[str, Variant]) -> Job:
        """Revokes what is installed."""
        options.read(given, {})
        if reason not in REASONS:
            known = ", ".join(f"{number} ({text})" for number, text in REASONS.items())
            raise options.invalid(f"There is no reason {reason} that a CA accepts; those that it does are {known}")
        self._check_issued(name)
        uid = await self._authority.check(call, authority.REVOKE, reason=REASONS[reason], **self._details(name))
        self._check_issued(name)
        with self._queue.hold(name) as number:
            return self._start(number, jobs.REVOKE, name, uid, reason=reason)

    async def forget(self, call: Call, name: str) -> None:
        """Ends the management of a certificate. Its files stay."""
        self._check_known(name)
        await self._authority.check(call, authority.CONFIGURE, **self._details(name))
        self._check_known(name)
        with self._queue.hold(name) as number:
            await self._daemons.priv("Forget", job=number, certificate=name)
            self._catalogue.forget(name)
            self._catalogue.reload()
            await drop_order(self._daemons, number, name)

    async def add_account(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Makes an account, or has the CA find it by its key where it is there already."""
        allowed = {"directory": "s", "contact": "as", "agree-tos": "b", "ca-pem": "s", "key-type": "s"}
        wanted, name = options.account_request(options.read(given, allowed)), options.name(name or "default")
        self._queue.check_free(name, account=True)
        uid = await self._authority.check(
            call, authority.MANAGE_ACCOUNTS, account=name, directory=wanted.directory, key_type=wanted.key_type
        )
        with self._queue.hold(name, account=True) as number:
            record = JobRecord(number, jobs.ACCOUNT, name, uid, clock.now(), account=wanted)
            return self._queue.start(record)

    async def reload(self, call: Call) -> None:
        """Reads the configuration again."""
        await self._authority.check(call, authority.RELOAD)
        self._catalogue.reload()

    async def may_cancel(self, call: Call, job: Job) -> None:
        """Whoever may start such a job may end it."""
        details = {"account": job.name} if job.record.type == jobs.ACCOUNT else self._details(job.name)
        await self._authority.check(call, _ACTIONS[job.record.type], **details)

    def _plan_order(self, name: str, texts: list[str], given: Mapping[str, Variant]) -> _Order:
        values = options.read(given, {"account": "s", "key-type": "s", "services": "as"})
        identifiers = options.identifiers(texts)
        if not name and not identifiers:
            raise options.invalid("Neither a name nor identifiers: what is to be ordered?")
        name = options.name(name or default_certificate_name(identifiers[0]))
        self._check_options(values)
        self._queue.check_free(name)
        if name in self._catalogue.names:
            return self._plan_configured(name, identifiers, values)
        if not identifiers:
            raise Failure(
                errors.NO_SUCH_CERTIFICATE, f"There is no certificate '{name}', and no identifiers were given"
            )
        account = self._check_account(values.get("account"))
        return _Order(name, identifiers, account, values.get("key-type"), values.get("services"), configure=True)

    def _plan_configured(self, name: str, identifiers: tuple[Identifier, ...], values: dict[str, Any]) -> _Order:
        """For a certificate that there is: with options that say otherwise it is moved to them, names aside."""
        certificate, status = self._catalogue.configured(name), self._catalogue.status(name)
        if identifiers and set(identifiers) != set(certificate.identifiers):
            raise Failure(
                errors.CERTIFICATE_EXISTS,
                f"'{name}' is configured for other identifiers: change {certificate.path}, or give another name",
            )
        there = {
            "account": certificate.account,
            "key-type": certificate.key_type.value,
            "services": list(certificate.services),
        }
        wanted = there | values
        plan = _Order(
            name,
            certificate.identifiers,
            self._check_account(wanted["account"]),
            wanted["key-type"],
            wanted["services"],
            configure=wanted != there,
            replace=True,
        )
        if not plan.configure and not status.is_due(clock.now()):
            until = f" until {clock.text(status.installed.not_after)}" if status.installed else ""
            raise Failure(errors.CERTIFICATE_EXISTS, f"'{name}' is issued, and valid{until}")
        return plan

    def _plan_renewal(self, name: str, force: bool) -> str:
        """The type of the job that Renew starts."""
        self._catalogue.configured(name)
        self._queue.check_free(name)
        status = self._catalogue.status(name)
        if status.unreadable:
            raise Failure(errors.INSTALL_FAILED, status.unreadable)
        if force or status.is_due(clock.now()):
            return jobs.RENEW
        if status.undelivered:
            return jobs.DELIVER
        raise Failure(errors.NOT_DUE, f"'{name}' is to be renewed at {clock.text(status.renew_at)}, not before")

    def _due(self) -> list[tuple[Status, Work]]:
        now, found = clock.now(), []
        for name in sorted(self._catalogue.names):
            status = self._catalogue.status(name)
            work = status.work(now)
            if work and self._queue.is_free(name):
                found.append((status, work))
        return found

    def _check_issued(self, name: str) -> None:
        self._check_known(name)
        status = self._catalogue.status(name)
        if status.installed is None:
            raise Failure(errors.NOT_ISSUED, status.unreadable or f"Nothing is installed as '{name}'")

    def _check_known(self, name: str) -> None:
        if name not in self._catalogue.names:
            raise Failure(errors.NO_SUCH_CERTIFICATE, f"There is no certificate '{name}' any more")
        self._queue.check_free(name)

    def _check_options(self, values: dict[str, Any]) -> None:
        known = self._catalogue.configuration.services
        for service in values.get("services", []):
            if service not in known:
                raise options.unknown_service(service, known)
        if "key-type" in values:
            options.key_type(values["key-type"])

    def _check_account(self, account: str | None) -> str:
        """The account, or the default one. It goes into the file by name, as another may become the default."""
        known, wanted = self._catalogue.configuration.accounts, account or self._catalogue.configuration.default_account
        if wanted in known:
            return str(wanted)
        listed = (
            f"the known ones are {', '.join(sorted(known))}" if known else "there is none yet; AddAccount makes one"
        )
        if wanted:
            raise Failure(errors.NO_SUCH_ACCOUNT, f"There is no account '{wanted}'; {listed}")
        raise Failure(errors.NO_SUCH_ACCOUNT, f"No account was given, and there is no default; {listed}")

    def _details(self, name: str) -> dict[str, str]:
        """What polkit is told of a certificate that there is."""
        status = self._catalogue.status(name)
        account = status.configured.account if status.configured else ""
        return {"certificate": name, "identifiers": ",".join(status.identifiers), "account": account}

    def _start(self, number: int, kind: str, name: str, uid: int, new_key: bool = False, reason: int = 0) -> Job:
        before = self._catalogue.status(name).fingerprint
        return self._queue.start(
            JobRecord(number, kind, name, uid, clock.now(), new_key=new_key, reason=reason, before=before)
        )
