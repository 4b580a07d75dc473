# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of an order at a CA, to its end: what a certificate and names without one have in common."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from acmed import journal
from acmed.manager import errors
from acmed.manager.challenges import Challenge, Presentation, rows
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.limits.limiter import Reservation
from acmed.manager.tools import Tools
from acmed.manager.ways.neworder import Request

# Seconds. acme-clientd keeps to the account's deadlines; these end a call where it does not.
_MARGIN = 60.0
_DROP_TIMEOUT = 60.0
_PERMIT_TIMEOUT = 20.0
_STEPS = ("challenge", "finalize", "download")


async def complete(
    job: Job,
    tools: Tools,
    request: Request,
    challenges: Sequence[Challenge],
    presentation: Presentation,
    counted: Reservation,
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
        counted.asked("failures")
    try:
        async with aclosing(replies):
            async for reply in replies:
                if is_validating and (reply["step"] != "challenge" or reply["done"]):
                    counted.give_back("failures")
                if reply["step"] != "challenge" and is_validating:
                    is_validating = False
                    presentation.over()
                    counted.asked("certificates", "duplicates")
                    validated()
                _tell(job, request, reply, rows(challenges, "processing" if is_validating else "valid"))
                if reply["done"]:
                    return reply
    except Failure as failure:
        _count(request, counted, failure, is_validating)
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


def _count(request: Request, counted: Reservation, failure: Failure, is_validating: bool) -> None:
    """Names whose authorization failed come under a limit: of those that were ordered, whatever the CA says."""
    if is_validating and failure.identifiers:
        counted.keep("failures", subjects=failure.identifiers)
        counted.give_back("failures")
    if failure.lost:
        counted.give_back("certificates", "duplicates")
