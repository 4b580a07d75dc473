# SPDX-License-Identifier: LGPL-2.1-or-later
"""An order at a CA, from newOrder to its end: what a certificate and names without one have in common."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from acmed import journal
from acmed.config import Account
from acmed.manager import errors
from acmed.manager.challenges import Challenge, Presentation, rows
from acmed.manager.counting import Counts
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
    profile, not_after (RFC 3339), replaces (RFC 9773), preferred_chain as in org.acmed.Client. otherwise: how it counts
    where the CA does not take it as a replacement.
    """

    account: Account
    identifiers: tuple[Identifier, ...]
    otherwise: Counts
    csr: str | None = None
    profile: str | None = None
    not_after: str | None = None
    replaces: str | None = None
    preferred_chain: str | None = None

    @property
    def counts(self) -> Counts:
        """How it counts where the CA takes it as it is."""
        return self.otherwise if self.replaces is None else Counts.AS_REPLACEMENT

    @property
    def listed(self) -> list[dict[str, str]]:
        return [{"type": identifier.type, "value": identifier.value} for identifier in self.identifiers]


@dataclass(frozen=True)
class Begun:
    """An order that the CA has. challenges: those of what is pending, as org.acmed.Client lists them. counts: how it
    does at the CA.
    """

    challenges: list[dict[str, Any]]
    resumed: bool
    counts: Counts


async def begin(job: Job, tools: Tools, request: Request, passed: Callable[[], Awaitable[None]] | None = None) -> Begun:
    """Finds the order that was begun, or has the CA make one when passed, where given, has returned. Raises Failure,
    also where a new order would go over a limit.
    """
    job.report("authorize", 15)
    found = await _ask(job, tools, "Resume", request)
    if found["order"] is not None:
        return _begun(request, found, resumed=True)
    tools.limiter.check(request.account, request.identifiers, request.counts)
    if passed:
        await passed()
    begun = await _new(job, tools, request)
    if begun is None and request.replaces is not None:
        begun = await _new(job, tools, replace(request, replaces=None))
    if begun is None:
        raise Failure(errors.UNAVAILABLE, "acme-clientd ended newOrder without an order")
    return begun


async def _new(job: Job, tools: Tools, request: Request) -> Begun | None:
    """None where the CA does not take it as a replacement, as it says. Raises Failure."""
    tools.limiter.check(request.account, request.identifiers, request.counts)
    answer = await _ask(job, tools, "Order", request, notAfter=request.not_after, replaces=request.replaces)
    if answer["order"] is None:
        return None
    if answer["created"]:
        tools.limiter.ordered(request.account, request.counts)
    return _begun(request, answer, resumed=False)


def _begun(request: Request, answer: dict[str, Any], resumed: bool) -> Begun:
    """What acme-clientd says makes it a replacement only where root has asked for one."""
    counts = request.counts if answer["replaced"] else request.otherwise
    return Begun(answer["challenges"], resumed, counts)


async def _ask(job: Job, tools: Tools, method: str, request: Request, **more: str | None) -> dict[str, Any]:
    requests = _REQUESTS + len(request.identifiers)
    return await tools.daemons.client(
        method,
        timeout=_MARGIN + requests * request.account.deadlines.request,
        job=job.id,
        account=request.account.name,
        certificate=job.name,
        identifiers=request.listed,
        csr=request.csr,
        profile=request.profile,
        **more,
    )


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
