# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of names that are validated without a certificate: a permit without a CSR, and so never a finalize."""

import hashlib
from collections.abc import Iterable
from typing import Any

from acmed import journal
from acmed.manager import clock, errors
from acmed.manager.challenges import check_ours, choose, presented, rows, withdraw_left
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.limits.counting import Counts
from acmed.manager.tools import Tools
from acmed.manager.ways.neworder import Request, begin
from acmed.manager.ways.validation import complete, drop_order, drop_permit
from acmed.names import Identifier, default_certificate_name

_LONGEST = 150  # characters, so that there is room for the rest


def subject(account: str, identifiers: Iterable[Identifier]) -> str:
    """The name of a job for these, the same for the same ones. Another daemon may make it a file's name."""
    ordered = sorted(identifiers)
    digest = hashlib.sha256(" ".join([account, *map(str, ordered)]).encode()).hexdigest()
    return f"authorize.{default_certificate_name(ordered[0])[:_LONGEST]}-{digest[:12]}"


async def authorize(job: Job, tools: Tools) -> int | None:
    """Has the CA validate the job's identifiers. Returns when the first of the authorizations ends, in microseconds
    since the epoch, where the CA tells. Raises Failure.
    """
    await withdraw_left(job, tools)
    account = tools.catalogue.configuration.accounts.get(job.record.account_name)
    if account is None:
        raise Failure(errors.NO_SUCH_ACCOUNT, f"There is no account '{job.record.account_name}' in the configuration")
    identifiers = tuple(Identifier.parse(text) for text in job.record.identifiers)
    request = Request(account, identifiers, Counts.AS_AUTHORIZATION)
    try:
        last = await _validated(job, tools, request)
    except Failure:
        await drop_permit(tools.daemons, job.id, job.name)
        raise
    await drop_permit(tools.daemons, job.id, job.name)
    await drop_order(tools.daemons, job.id, job.name)
    expires: int | None = clock.shown(last["expires"]) if last["expires"] else None
    until = f" until {clock.text(expires)}" if expires else ""
    journal.notice("%s: valid at the CA of %s%s", ", ".join(map(str, request.identifiers)), account.name, until)
    return expires


async def _validated(job: Job, tools: Tools, request: Request) -> dict[str, Any]:
    """acme-clientd's last answer. Raises Failure."""
    account = request.account
    job.report("order", 5)
    permit = await tools.daemons.priv(
        "PermitAuthorize", job=job.id, account=account.name, subject=job.name, identifiers=request.listed
    )
    begun = await begin(job, tools, request)
    with begun.counted:
        challenges = choose(begun.challenges, request.identifiers, tools.catalogue.configuration, None)
        check_ours(challenges, permit["thumbprint"])
        job.report("challenge", 25, rows(challenges, "pending"))
        async with presented(job, tools, account, challenges) as presentation:
            return await complete(job, tools, request, challenges, presentation, begun.counted)
