# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first half of an order at a CA: the one that there is, or newOrder, which is counted before."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from acmed import journal
from acmed.config import Account
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.limits.counting import Counts
from acmed.manager.limits.limiter import Reservation
from acmed.manager.tools import Tools
from acmed.names import Identifier

# Seconds. acme-clientd keeps to the account's deadlines; these end a call where it does not.
_MARGIN = 60.0
_REQUESTS = 4  # of an order, beside one for each name


@dataclass(frozen=True)
class Request:
    """What is ordered. csr (base64 DER) is None where names are authorized without a certificate, and so is the rest:
    profile, not_before and not_after (RFC 3339), replaces (RFC 9773), preferred_chain as in org.acmed.Client.
    otherwise: how it counts where the CA does not take it as a replacement.
    """

    account: Account
    identifiers: tuple[Identifier, ...]
    otherwise: Counts
    csr: str | None = None
    profile: str | None = None
    not_before: str | None = None
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
    """An order that the CA has. challenges: those of what is pending, as org.acmed.Client lists them. counted: what it
    counts for.
    """

    challenges: list[dict[str, Any]]
    resumed: bool
    counted: Reservation


async def begin(job: Job, tools: Tools, request: Request, passed: Callable[[], Awaitable[None]] | None = None) -> Begun:
    """Finds the order that was begun, or has the CA make one when passed, where given, has returned. Raises Failure,
    also where a new order would go over a limit.
    """
    job.report("authorize", 15)
    found = await tools.daemons.client("Resume", **_asking(job, request))
    if found["order"] is not None:
        return _begun(job, tools, request, found, resumed=True)
    tools.limiter.over(request.account, job.name)
    tools.limiter.check(request.account, request.identifiers, request.counts)
    if passed:
        await passed()
    try:
        return await _ordered(job, tools, request)
    except Failure as failure:
        if not failure.lost:
            raise
        journal.notice("The new order of %s is lost already, another one is needed: %s", job.name, failure.message)
    return await _ordered(job, tools, request)


async def _ordered(job: Job, tools: Tools, request: Request) -> Begun:
    """A new order, as a replacement if the CA takes it as one. Raises Failure."""
    begun = await _new(job, tools, request)
    if begun is None and request.replaces is not None:
        begun = await _new(job, tools, replace(request, replaces=None))
    if begun is None:
        raise Failure(errors.UNAVAILABLE, "acme-clientd ended newOrder without an order")
    return begun


async def _new(job: Job, tools: Tools, request: Request) -> Begun | None:
    """None where the CA does not take it as a replacement, as it says. Raises Failure."""
    wishes = {"notBefore": request.not_before, "notAfter": request.not_after, "replaces": request.replaces}
    replies = tools.daemons.client_more("Order", **_asking(job, request) | wishes)
    with tools.limiter.reserve(request.account, job.name, request.identifiers, request.counts) as counted:
        try:
            async with aclosing(replies):
                async for answer in replies:
                    if answer["order"] is not None:
                        counted.keep("orders")
        except Failure as failure:
            # Names without a certificate may take a request each, of which others did not fail.
            if failure.refused and (request.csr or len(request.identifiers) == 1):
                counted.give_back("orders")
            raise
        if answer["order"] is None:
            counted.give_back()
            return None
        return _begun(job, tools, request, answer, resumed=False)


def _begun(job: Job, tools: Tools, request: Request, answer: dict[str, Any], resumed: bool) -> Begun:
    """What acme-clientd says makes it a replacement only where root has asked for one."""
    counts = request.counts if answer["replaced"] else request.otherwise
    counted = tools.limiter.made(request.account, job.name, request.identifiers, counts)
    return Begun(answer["challenges"], resumed, counted)


def _asking(job: Job, request: Request) -> dict[str, Any]:
    requests = _REQUESTS + len(request.identifiers)
    return {
        "timeout": _MARGIN + requests * request.account.deadlines.request,
        "job": job.id,
        "account": request.account.name,
        "certificate": job.name,
        "identifiers": request.listed,
        "csr": request.csr,
        "profile": request.profile,
    }
