# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of an order. Each step is idempotent, so a job that was interrupted begins again at the first."""

import asyncio
from typing import Any

from acmed import journal
from acmed.config import Account, Certificate
from acmed.manager import errors
from acmed.manager.challenges import check_ours, choose, presented, rows, withdraw_left
from acmed.manager.daemons import CLIENTD
from acmed.manager.errors import ChainRefused, Failure
from acmed.manager.jobs import Job
from acmed.manager.limits.counting import without_replaces
from acmed.manager.limits.limiter import Reservation
from acmed.manager.tools import Tools
from acmed.manager.ways import failover
from acmed.manager.ways.delivery import deliver
from acmed.manager.ways.neworder import Request, begin
from acmed.manager.ways.preflight import Preflight
from acmed.manager.ways.validation import complete, drop_order
from acmed.names import Identifier


async def order(job: Job, tools: Tools) -> None:
    """Gets a certificate, installs it and delivers it. Raises Failure."""
    await withdraw_left(job, tools)
    certificate = tools.catalogue.configured(job.name)
    if _was_installed(job, tools):
        await drop_order(tools.daemons, job.id, job.name)
    else:
        await _obtain(job, tools, certificate)
    await deliver(job, tools)


def _was_installed(job: Job, tools: Tools) -> bool:
    """Whether a run that was killed came as far as that."""
    return job.resumed and tools.catalogue.status(job.name).fingerprint != job.record.before


async def _obtain(job: Job, tools: Tools, certificate: Certificate) -> None:
    """From the first account whose CA does it."""
    names = failover.accounts(tools.catalogue, certificate)
    failures: list[tuple[str, Failure]] = []
    for name, following in zip(names, (*names[1:], None), strict=True):
        attempt = _Attempt(job, tools, certificate, _account(tools, name))
        try:
            await attempt.run()
            return
        except Failure as failure:
            failures.append((name, failure))
            if following is None or not failure.of_ca or attempt.is_unfinished:
                raise failover.together(failures) from failure
            journal.warning("Account %s: %s. Trying account %s", name, failure.message, following, account=name)
            job.remark(f"{name}: {failure.message}; trying {following}")


def _account(tools: Tools, name: str) -> Account:
    try:
        return tools.catalogue.configuration.accounts[name]
    except KeyError:
        raise Failure(errors.NO_SUCH_ACCOUNT, f"There is no account '{name}' in the configuration") from None


class _Attempt:
    """A certificate from one account. is_unfinished: its CA was asked to issue, and may do so."""

    def __init__(self, job: Job, tools: Tools, certificate: Certificate, account: Account) -> None:
        self.is_unfinished = False
        self._job = job
        self._tools = tools
        self._certificate = certificate
        self._account = account

    async def run(self) -> None:
        """Raises Failure."""
        try:
            async with Preflight(self._job, self._tools, self._certificate, self._account) as preflight:
                await self._obtain(preflight)
        except Failure as failure:
            if failure.lost or isinstance(failure, ChainRefused):
                self._finished()
            raise
        self._finished()

    async def _obtain(self, preflight: Preflight) -> None:
        job, tools = self._job, self._tools
        material = await self._material()
        account = self._account
        identifiers = tuple(Identifier(**identifier) for identifier in material["identifiers"])
        request = Request(
            account,
            identifiers,
            without_replaces(tools.catalogue, job.name, account, identifiers),
            csr=material["csr"],
            profile=material["profile"],
            not_before=material["notBefore"],
            not_after=material["notAfter"],
            replaces=material["replaces"],
            preferred_chain=material["preferredChain"],
        )
        begun = await begin(job, tools, request, preflight.passed)
        with begun.counted:
            challenges = choose(begun.challenges, request.identifiers, tools.catalogue.configuration, self._certificate)
            check_ours(challenges, material["thumbprint"])
            job.report("challenge", 25, rows(challenges, "pending"))
            if begun.resumed:
                await preflight.passed_for(challenges)
            # What is presented is put away while the CA issues and the certificate is installed.
            async with presented(job, tools, account, challenges) as presentation:
                last = await complete(job, tools, request, challenges, presentation, begun.counted, self._unfinished)
                job.commit()
                await self._install(material, request, begun.counted, last["chain"])
        await drop_order(tools.daemons, job.id, job.name)

    async def _material(self) -> dict[str, Any]:
        """The key, the CSR, and acme-keyd's permit to order; acme-clientd is started meanwhile."""
        job, daemons = self._job, self._tools.daemons
        job.report("order", 5)
        warming = asyncio.ensure_future(daemons.warm(CLIENTD))
        material = await daemons.priv(
            "NewRequest", job=job.id, certificate=job.name, account=self._account.name, newKey=job.record.new_key
        )
        await warming
        if job.record.new_key:
            job.keep(new_key=False)  # it has one; begun again, it is to go on with that
        return material

    async def _install(
        self, material: dict[str, Any], request: Request, counted: Reservation, chain: str | None
    ) -> None:
        job, tools = self._job, self._tools
        if chain is None:
            raise Failure(errors.UNAVAILABLE, "acme-clientd ended the order without a certificate")
        job.report("install", 85)
        try:
            installed = await tools.daemons.priv(
                "Install", job=job.id, certificate=job.name, request=material["request"], chain=chain
            )
        except ChainRefused:
            counted.keep("certificates", "duplicates")
            await drop_order(tools.daemons, job.id, job.name)  # it would give the same chain at each attempt
            raise
        names = [identifier.value for identifier in request.identifiers]
        try:
            tools.catalogue.installed(job.name, installed, names, self._account)
        except OSError as error:
            raise Failure(errors.INSTALL_FAILED, f"Cannot read what was installed: {error.strerror}") from error
        counted.keep("certificates", "duplicates")
        journal.notice(
            "%s is installed, serial number %s, issued by %s",
            job.name,
            installed["serialNumber"],
            installed["issuer"],
            fingerprint=installed["fingerprint"],
        )

    def _unfinished(self) -> None:
        self.is_unfinished = True
        failover.unfinished(self._tools.catalogue, self._certificate, self._account.name)

    def _finished(self) -> None:
        self.is_unfinished = False
        failover.finished(self._tools.catalogue, self._certificate)
