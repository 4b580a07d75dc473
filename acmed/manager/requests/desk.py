# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all requests need: whom to ask, what there is, and how to begin."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from acmed.bus.server import Call
from acmed.config import Account
from acmed.manager import authority, clock, errors, jobs
from acmed.manager.authority import Authority
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Kind, Queue
from acmed.manager.known import providedkeys
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.state import JobRecord
from acmed.manager.requests import foreign
from acmed.manager.tools import Tools

_ACTIONS = {
    jobs.ORDER: authority.ORDER,
    jobs.AUTHORIZE: authority.ORDER,
    jobs.RENEW: authority.RENEW,
    jobs.DELIVER: authority.RENEW,
    jobs.RESTORE: authority.RENEW,
    jobs.REVOKE: authority.REVOKE,
    jobs.ACCOUNT: authority.MANAGE_ACCOUNTS,
    jobs.UPDATE_ACCOUNT: authority.MANAGE_ACCOUNTS,
    jobs.DEACTIVATE_ACCOUNT: authority.MANAGE_ACCOUNTS,
    jobs.ROLLOVER_KEY: authority.MANAGE_ACCOUNTS,
}


@dataclass(frozen=True)
class Desk:
    """Raises Failure, or what Authority does."""

    authority: Authority
    tools: Tools
    queue: Queue

    @property
    def catalogue(self) -> Catalogue:
        return self.tools.catalogue

    async def may_cancel(self, call: Call, job: Job) -> None:
        """Whoever may start such a job may end it."""
        record = job.record
        match job.kind:
            case Kind.CERTIFICATE:
                details = self.details(job.name)
            case Kind.ACCOUNT:
                details = {"account": job.name}
            case Kind.AUTHORIZATION:
                details = {"account": record.account_name, "identifiers": ",".join(record.identifiers)}
            case Kind.FOREIGN:
                names = listed(foreign.certificate(base64.b64decode(record.der)))
                details = {"account": record.account_name, "certificate": job.name, "identifiers": names}
        await self.authority.check(call, _ACTIONS[record.type], **details)

    async def reload(self, call: Call) -> None:
        """Reads the configuration again."""
        await self.authority.check(call, authority.RELOAD)
        self.catalogue.reload()
        await providedkeys.look(self.catalogue.names, self.catalogue, self.tools.daemons)

    def start(self, number: int, kind: str, name: str, uid: int, **more: Any) -> Job:
        """Begins a job. more: fields of JobRecord."""
        return self.queue.start(JobRecord(number, kind, name, uid, clock.now(), **more))

    def begin(self, number: int, kind: str, name: str, uid: int, **more: Any) -> Job:
        """Begins a job of a certificate."""
        return self.start(number, kind, name, uid, before=self.catalogue.status(name).fingerprint, **more)

    def account(self, name: str | None) -> Account:
        """The account, or the default one. It is used by name, as another may become the default."""
        configuration = self.catalogue.configuration
        known, wanted = configuration.accounts, name or configuration.default_account
        if wanted in known:
            return known[wanted]
        listed = (
            f"the known ones are {', '.join(sorted(known))}" if known else "there is none yet; AddAccount makes one"
        )
        if wanted:
            raise Failure(errors.NO_SUCH_ACCOUNT, f"There is no account '{wanted}'; {listed}")
        raise Failure(errors.NO_SUCH_ACCOUNT, f"No account was given, and there is no default; {listed}")

    def check_known(self, name: str) -> None:
        """That there is a certificate, and that nothing is being done with it."""
        if name not in self.catalogue.names:
            raise Failure(errors.NO_SUCH_CERTIFICATE, f"There is no certificate '{name}' any more")
        self.queue.check_free(name)

    def check_issued(self, name: str) -> None:
        """That it is installed, too."""
        self.check_known(name)
        status = self.catalogue.status(name)
        if status.installed is None:
            raise Failure(errors.NOT_ISSUED, status.unreadable or f"Nothing is installed as '{name}'")

    def details(self, name: str) -> dict[str, str]:
        """What polkit is told of a certificate that there is."""
        status = self.catalogue.status(name)
        accounts = status.configured.accounts if status.configured else ()
        return {"certificate": name, "identifiers": ",".join(status.identifiers), "account": listed(accounts)}


def listed(words: Iterable[object]) -> str:
    """As details have them."""
    return ",".join(map(str, words))
