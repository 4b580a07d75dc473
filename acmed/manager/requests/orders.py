# SPDX-License-Identifier: LGPL-2.1-or-later
"""Order and OrderCSR: a certificate is configured, unless it is as the call says, and ordered."""

import asyncio
import base64
from collections.abc import Callable, Mapping

from acmed.bus import Variant
from acmed.bus.server import Call
from acmed.manager import authority, clock, errors, jobs, options
from acmed.manager.daemons import CLIENTD
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.requests import foreign, plan
from acmed.manager.requests.desk import Desk
from acmed.manager.requests.plan import Plan, Values
from acmed.names import Identifier, default_certificate_name


class Orders:
    """The requests for new certificates."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def order(self, call: Call, name: str, texts: list[str], given: Mapping[str, Variant]) -> Job:
        """With a key of acmed's."""
        return await self._order(call, lambda: self._plan(name, texts, given))

    async def order_csr(self, call: Call, name: str, csr: bytes, given: Mapping[str, Variant]) -> Job:
        """For a CSR that was made elsewhere."""
        return await self._order(call, lambda: self._plan_csr(name, csr, given))

    async def _order(self, call: Call, make_plan: Callable[[], Plan]) -> Job:
        desk, wanted = self._desk, make_plan()
        uid = await desk.authority.check(call, authority.ORDER, **wanted.details)
        if wanted != make_plan():
            raise Failure(errors.BUSY, f"The configuration of '{wanted.name}' changed meanwhile; look, and try again")
        with desk.queue.hold(wanted.name) as number:
            if wanted.configure:
                await asyncio.gather(self._configure(number, wanted), desk.tools.daemons.warm(CLIENTD))
                desk.catalogue.reload()
            desk.catalogue.configured(wanted.name)
            if wanted.csr:
                desk.catalogue.given(wanted.name, foreign.digest(base64.b64decode(wanted.csr)))
            desk.catalogue.wanted(wanted.name)
            return desk.begin(number, jobs.ORDER, wanted.name, uid)

    async def _configure(self, number: int, wanted: Plan) -> None:
        await self._desk.tools.daemons.priv(
            "Configure",
            job=number,
            certificate=wanted.name,
            names=[str(identifier) for identifier in wanted.identifiers],
            settings=wanted.settings,
            replace=wanted.replace,
        )

    def _plan(self, name: str, texts: list[str], given: Mapping[str, Variant]) -> Plan:
        values = options.read(given, plan.OPTIONS)
        identifiers = options.identifiers(texts)
        if not name and not identifiers:
            raise options.invalid("Neither a name nor identifiers: what is to be ordered?")
        name = options.name(name or default_certificate_name(identifiers[0]))
        values = plan.checked(self._desk, values)
        self._desk.queue.check_free(name)
        if name in self._desk.catalogue.names:
            return self._plan_configured(name, identifiers, values)
        if not identifiers:
            raise Failure(
                errors.NO_SUCH_CERTIFICATE, f"There is no certificate '{name}', and no identifiers were given"
            )
        return plan.together(name, identifiers, plan.given(self._desk, values), configure=True)

    def _plan_configured(self, name: str, identifiers: tuple[Identifier, ...], values: Values) -> Plan:
        """For a certificate that there is: with options that say otherwise it is moved to them, names aside."""
        certificate = self._desk.catalogue.configured(name)
        if identifiers:
            plan.same_names(certificate, identifiers)
        there = plan.configured(certificate)
        for key in values.keys() - there.keys():
            raise options.invalid(f"The CSR of '{name}', which was made elsewhere, says its {key}; give another one")
        wanted = self._moved(there, values)
        found = plan.together(name, certificate.identifiers, wanted, configure=wanted != there, replace=True)
        self._check_wanted(found)
        return found

    def _plan_csr(self, name: str, csr: bytes, given: Mapping[str, Variant]) -> Plan:
        values = options.read(given, plan.CSR_OPTIONS)
        identifiers = foreign.request(csr)
        name = options.name(name or default_certificate_name(identifiers[0]))
        values = plan.checked(self._desk, values)
        self._desk.queue.check_free(name)
        encoded = base64.b64encode(csr).decode()
        if name not in self._desk.catalogue.names:
            return plan.together(name, identifiers, plan.given(self._desk, values), configure=True, csr=encoded)
        certificate, state = self._desk.catalogue.configured(name), self._desk.catalogue.status(name).state
        if not certificate.csr:
            plan.same_names(certificate, identifiers)
        there = {key: value for key, value in plan.configured(certificate).items() if key in plan.CSR_OPTIONS}
        wanted = self._moved(there, values)
        same = certificate.csr and state.csr == foreign.digest(csr) and wanted == there
        found = plan.together(name, identifiers, wanted, configure=not same, replace=True, csr=encoded)
        self._check_wanted(found)
        return found

    def _moved(self, there: Values, values: Values) -> Values:
        wanted = there | values
        account = self._desk.account(wanted["account"]).name
        if "failover" not in values:
            wanted["failover"] = [name for name in there["failover"] if name != account]
        return wanted | {"account": account}

    def _check_wanted(self, found: Plan) -> None:
        """Raises Failure CertificateExists where an order would change nothing."""
        status = self._desk.catalogue.status(found.name)
        if not found.configure and not status.is_due(clock.now()):
            until = f" until {clock.text(status.installed.not_after)}" if status.installed else ""
            raise Failure(errors.CERTIFICATE_EXISTS, f"'{found.name}' is issued, and valid{until}")
