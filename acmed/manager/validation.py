# SPDX-License-Identifier: LGPL-2.1-or-later
"""An order at a CA, from newOrder to its end: what a certificate and names without one have in common."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from acmed import journal
from acmed.config import Account
from acmed.manager import errors
from acmed.manager.challenges import Challenge, Presentation, rows
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools
from acmed.names import Identifier

# Seconds. acme-clientd keeps to the account's deadlines; these end a call where it does not.
_MARGIN = 60.0
_REQUESTS = 4  # of an order, beside one for each name
_DROP_TIMEOUT = 60.0
_PERMIT_TIMEOUT = 20.0
_STEPS = ("challenge", "finalize", "download")


@dataclass(frozen=True)
class Request:
    """What is ordered. csr (base64 DER) is None where names are authorized without a certificate, and so is the rest:
    profile, not_after (RFC 3339), replaces (RFC 9773), preferred_chain as in org.acmed.Client.
    """

    account: Account
    identifiers: tuple[Identifier, ...]
    csr: str | None = None
    profile: str | None = None
    not_after: str | None = None
    replaces: str | None = None
    preferred_chain: str | None = None

    @property
    def is_renewal(self) -> bool:
        """Whether the CA is told what this replaces."""
        return self.replaces is not None

    @property
    def listed(self) -> list[dict[str, str]]:
        return [{"type": identifier.type, "value": identifier.value} for identifier in self.identifiers]


async def begin(job: Job, tools: Tools, request: Request) -> list[dict[str, Any]]:
    """Has the CA make the order, or finds the one that was begun, and returns the challenges of what is pending. Raises
    Failure, also where the order would go over a limit.
    """
    account = request.account
    if job.record.created != account.name:
        tools.limiter.check(account, request.identifiers, request.is_renewal)
    job.report("authorize", 15)
    requests = _REQUESTS + len(request.identifiers)
    answer = await tools.daemons.client(
        "Order",
        timeout=_MARGIN + requests * account.deadlines.request,
        job=job.id,
        account=account.name,
        certificate=job.name,
        identifiers=request.listed,
        csr=request.csr,
        profile=request.profile,
        notAfter=request.not_after,
        replaces=request.replaces,
    )
    if answer["created"]:
        tools.limiter.ordered(account, request.identifiers, request.is_renewal)
        job.keep(durable=False, created=account.name)
    challenges: list[dict[str, Any]] = answer["challenges"]
    return challenges


async def complete(
    job: Job,
    tools: Tools,
    request: Request,
    challenges: Sequence[Challenge],
    presentation: Presentation,
    validated: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Has the CA validate, and issue where there is a CSR; returns acme-clientd's last answer. validated is called
    before the CA is asked to issue. Raises Failure.
    """
    account, is_validating = request.account, True
    deadlines = account.deadlines
    replies = tools.daemons.client_more(
        "Finalize",
        timeout=_MARGIN + max(deadlines.authorization, deadlines.finalize) + deadlines.request,
        job=job.id,
        account=account.name,
        certificate=job.name,
        csr=request.csr,
        preferredChain=request.preferred_chain,
        challenges=[challenge.url for challenge in challenges],
    )
    if challenges:
        job.report("challenge", 30, rows(challenges, "pending"), detail="", within=deadlines.authorization)
    try:
        async with aclosing(replies):
            async for reply in replies:
                if reply["step"] != "challenge" and is_validating:
                    is_validating = False
                    presentation.over()
                    validated()
                _tell(job, request, reply, rows(challenges, "processing" if is_validating else "valid"))
                if reply["done"]:
                    return reply
    except Failure as failure:
        if is_validating and failure.identifiers:
            _count(tools, request, failure)
        raise
    raise Failure(errors.UNAVAILABLE, "acme-clientd ended the order without an answer")


async def drop_order(daemons: Daemons, job: int, name: str) -> None:
    """Has acme-clientd forget an order that is over: a reused key may give the same CSR again, and the order that was
    kept would give the same certificate again.
    """
    try:
        await daemons.client("Drop", timeout=_DROP_TIMEOUT, job=job, certificate=name)
    except Failure as failure:
        journal.warning("acme-clientd did not forget the order of %s: %s", name, failure.message)


async def drop_permit(daemons: Daemons, job: int, name: str) -> None:
    """Ends acme-keyd's permit for an order, or for authorizations; the next attempt gets another one."""
    try:
        await daemons.priv("DropPermit", timeout=_PERMIT_TIMEOUT, job=job, certificate=name)
    except Failure as failure:
        journal.warning("The permit for %s is left until it expires: %s", name, failure.message)


def _tell(job: Job, request: Request, reply: dict[str, Any], challenges: list[list[str]]) -> None:
    deadlines = request.account.deadlines
    # What is left for installation is not acme-clientd's to count.
    progress = min(max(reply["progress"], 0), 80)
    step = reply["step"] if reply["step"] in _STEPS else job.step
    within = {"finalize": deadlines.finalize, "download": deadlines.request}.get(step) if step != job.step else None
    job.report(step, progress, challenges, detail=reply["detail"], within=within)


def _count(tools: Tools, request: Request, failure: Failure) -> None:
    """Names whose authorization failed come under a limit: of those that were ordered, whatever the CA says."""
    failed = [one for one in request.identifiers if one.value.removeprefix("*.") in failure.identifiers]
    tools.limiter.failed(request.account, failed)
