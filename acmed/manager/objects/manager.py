# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1.Manager"""

from collections.abc import Mapping
from typing import Any

from acmed import __version__
from acmed.bus import Variant
from acmed.bus.server import Call, Handler
from acmed.bus.xml import load
from acmed.manager import clock
from acmed.manager.errors import NO_SUCH_CERTIFICATE, Failure
from acmed.manager.objects import objectpaths
from acmed.manager.options import invalid
from acmed.manager.requests import Accounts, Certificates, Desk, Orders, Revocations


class ManagerObject:
    """acmed itself on the bus."""

    def __init__(
        self, desk: Desk, orders: Orders, certificates: Certificates, accounts: Accounts, revocations: Revocations
    ) -> None:
        self.interface = load()["org.acmed1.Manager"]
        self._desk = desk
        self._catalogue = desk.catalogue
        self._queue = desk.queue
        self._orders = orders
        self._certificates = certificates
        self._accounts = accounts
        self._revocations = revocations

    def methods(self) -> Mapping[str, Handler]:
        return {
            "Order": self._order,
            "OrderCSR": self._order_csr,
            "Authorize": self._authorize,
            "RevokeOther": self._revoke_other,
            "RenewDue": self._renew_due,
            "GetCertificate": self._get_certificate,
            "ListCertificates": self._list_certificates,
            "ListJobs": self._list_jobs,
            "AddAccount": self._add_account,
            "Reload": self._reload,
            "CheckConfiguration": self._check_configuration,
        }

    def properties(self) -> Mapping[str, Any]:
        now = clock.now()
        moments = [self._catalogue.status(name).next_attempt(now) for name in self._catalogue.names]
        return {
            "Version": __version__,
            "NextRenewal": min(filter(None, moments), default=0),
            "DefaultAccount": self._catalogue.configuration.default_account or "",
        }

    async def _order(
        self, call: Call, name: str, identifiers: list[str], options: dict[str, Variant]
    ) -> tuple[str, int, str]:
        job = await self._orders.order(call, name, identifiers, options)
        return job.subject_path, job.id, job.path

    async def _order_csr(self, call: Call, name: str, csr: bytes, options: dict[str, Variant]) -> tuple[str, int, str]:
        job = await self._orders.order_csr(call, name, csr, options)
        return job.subject_path, job.id, job.path

    async def _authorize(self, call: Call, identifiers: list[str], options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._accounts.authorize(call, identifiers, options)
        return job.id, job.path

    async def _revoke_other(
        self, call: Call, certificate: bytes, reason: int, options: dict[str, Variant]
    ) -> tuple[int, str]:
        job = await self._revocations.revoke_other(call, certificate, reason, options)
        return job.id, job.path

    async def _renew_due(self, call: Call, flags: int) -> tuple[list[list[Any]]]:
        if flags:
            raise invalid(f"There are no flags, so they must be 0, not {flags}")
        started = await self._certificates.renew_due(call)
        if not started:
            self._catalogue.check_read()  # nothing to do, as far as acmed can see, is not that all is done
        return ([[job.name, job.id, job.path] for job in started],)

    async def _get_certificate(self, _: Call, name: str) -> tuple[str]:
        if name not in self._catalogue.names:
            raise Failure(NO_SUCH_CERTIFICATE, f"There is no certificate '{name}'")
        return (objectpaths.certificate(name),)

    async def _list_certificates(self, _: Call) -> tuple[list[list[Any]]]:
        """Name, identifiers, end of validity (0 where nothing is installed) and object path."""
        statuses = [self._catalogue.status(name) for name in sorted(self._catalogue.names)]
        return (
            [
                [
                    status.name,
                    status.identifiers,
                    status.installed.not_after if status.installed else 0,
                    objectpaths.certificate(status.name),
                ]
                for status in statuses
            ],
        )

    async def _list_jobs(self, _: Call) -> tuple[list[list[Any]]]:
        return ([[job.id, job.record.type, job.name, job.record.uid, job.path] for job in self._queue.jobs],)

    async def _add_account(self, call: Call, name: str, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._accounts.add(call, name, options)
        return job.id, job.path

    async def _reload(self, call: Call) -> None:
        await self._desk.reload(call)

    async def _check_configuration(self, _: Call) -> tuple[list[list[Any]]]:
        self._catalogue.reload()
        return ([[str(one.path), one.line, one.message, one.hint] for one in self._catalogue.problems],)
