# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of a new account (RFC 8555 section 7.3)."""

from acmed import journal
from acmed.bus import errors as bus_errors
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

_TIMEOUT = 300.0  # seconds


async def register(job: Job, tools: Tools) -> None:
    """Makes the account's key and has the CA know it. Raises Failure."""
    wanted = job.record.account
    if wanted is None:
        raise Failure(bus_errors.FAILED, f"Job {job.id} does not say what account '{job.name}' is to be")
    job.report("account", 10)
    await tools.daemons.priv(
        "NewAccount",
        job=job.id,
        account=job.name,
        directory=wanted.directory,
        contact=list(wanted.contact),
        keyType=wanted.key_type,
        caPem=wanted.ca_pem,
    )
    job.report("account", 40)
    answer = await tools.daemons.client("Register", timeout=_TIMEOUT, job=job.id, account=job.name)
    job.commit()
    job.report("account", 80)
    await tools.daemons.priv("SetAccountUri", job=job.id, account=job.name, uri=answer["uri"])
    tools.catalogue.reload()
    journal.notice("Account %s is %s at %s", job.name, answer["status"], wanted.directory)
