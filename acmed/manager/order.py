# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of an order. Each step is idempotent, so a job that was interrupted begins again at the first."""

import asyncio
from contextlib import aclosing
from typing import Any

from acmed import journal
from acmed.manager import errors
from acmed.manager.challenges import Presentation, choose, presented, rows, withdraw_left
from acmed.manager.daemons import Daemons
from acmed.manager.delivery import deliver
from acmed.manager.errors import ChainRefused, Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

# Seconds. The CA may take its time between two answers.
_ORDER_TIMEOUT = 300.0
_FINALIZE_TIMEOUT = 900.0
_DROP_TIMEOUT = 60.0


async def order(job: Job, tools: Tools) -> None:
    """Gets a certificate, installs it and delivers it. Raises Failure."""
    await withdraw_left(job, tools)
    tools.catalogue.configured(job.name)
    if _was_installed(job, tools):
        await drop_order(tools.daemons, job.id, job.name)
    else:
        await _obtain(job, tools)
    await deliver(job, tools)


def _was_installed(job: Job, tools: Tools) -> bool:
    """Whether a run that was killed came as far as that."""
    return job.resumed and tools.catalogue.status(job.name).fingerprint != job.record.before


async def _obtain(job: Job, tools: Tools) -> None:
    priv, client = tools.daemons.priv, tools.daemons.client
    job.report("order", 5)
    warming = asyncio.ensure_future(tools.daemons.warm())
    request = await priv("NewRequest", job=job.id, certificate=job.name, newKey=job.record.new_key)
    await warming
    if job.record.new_key:
        job.keep(new_key=False)  # it has one; begun again, it is to go on with that
    job.report("authorize", 15)
    pending = await client(
        "Order",
        timeout=_ORDER_TIMEOUT,
        job=job.id,
        account=request["account"],
        certificate=job.name,
        identifiers=request["identifiers"],
        csr=request["csr"],
    )
    challenges = choose(pending["challenges"])
    # The port closes while the CA issues and the certificate is installed.
    async with presented(job, tools, challenges) as presentation:
        job.report("challenge", 30, rows(challenges, "pending"))
        chain = await _finalize(job, tools, request, challenges, presentation)
        job.commit()
        await _install(job, tools, request, chain)
    await drop_order(tools.daemons, job.id, job.name)


async def _install(job: Job, tools: Tools, request: dict[str, Any], chain: str) -> None:
    job.report("install", 85)
    try:
        installed = await tools.daemons.priv(
            "Install", job=job.id, certificate=job.name, request=request["request"], chain=chain
        )
    except ChainRefused:
        await drop_order(tools.daemons, job.id, job.name)  # it would give the same chain at each attempt
        raise
    names = [identifier["value"] for identifier in request["identifiers"]]
    try:
        tools.catalogue.installed(job.name, installed, names, request["account"])
    except OSError as error:
        raise Failure(errors.INSTALL_FAILED, f"Cannot read what was installed: {error.strerror}") from error
    journal.notice(
        "%s is installed, serial number %s, issued by %s",
        job.name,
        installed["serialNumber"],
        installed["issuer"],
        fingerprint=installed["fingerprint"],
    )


async def drop_order(daemons: Daemons, job: int, name: str) -> None:
    """Has acme-clientd forget an order that is over: a reused key may give the same CSR again, and the order that was
    kept would give the same certificate again.
    """
    try:
        await daemons.client("Drop", timeout=_DROP_TIMEOUT, job=job, certificate=name)
    except Failure as failure:
        journal.warning("acme-clientd did not forget the order of %s: %s", name, failure.message)


async def _finalize(
    job: Job, tools: Tools, request: dict[str, Any], challenges: list[dict[str, Any]], presentation: Presentation
) -> str:
    """Has the CA validate and issue; returns the chain."""
    replies = tools.daemons.client_more(
        "Finalize",
        timeout=_FINALIZE_TIMEOUT,
        job=job.id,
        account=request["account"],
        certificate=job.name,
        csr=request["csr"],
        challenges=[challenge["url"] for challenge in challenges],
    )
    async with aclosing(replies):
        async for reply in replies:
            if reply["step"] == "challenge":
                job.report("challenge", _share(reply), rows(challenges, "processing"))
            else:
                presentation.over()
                job.report(reply["step"], _share(reply), rows(challenges, "valid"))
            if reply.get("chain") is not None:
                return str(reply["chain"])
    raise Failure(errors.UNAVAILABLE, "acme-clientd ended the order without a certificate")


def _share(reply: dict[str, Any]) -> int:
    """What is left for installation is not acme-clientd's to count."""
    return min(max(int(reply["progress"]), 0), 80)
