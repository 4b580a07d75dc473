# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of an account's new contacts (RFC 8555 section 7.3.2)."""

from dataclasses import replace

from acmed import journal
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

_TIMEOUT = 300.0  # seconds


async def update_contact(job: Job, tools: Tools) -> None:
    """Tells the CA first. Raises Failure."""
    contact = list(job.record.contact)
    job.report("account", 10)
    await tools.daemons.priv("PermitAccount", job=job.id, account=job.name, operation="update", contact=contact)
    job.report("account", 30)
    await tools.daemons.client("UpdateAccount", timeout=_TIMEOUT, job=job.id, account=job.name, contact=contact)
    job.commit()
    job.report("account", 80)
    await tools.daemons.priv("SetContact", job=job.id, account=job.name, contact=contact)
    tools.catalogue.reload()
    journal.notice("The contacts of account %s are %s", job.name, ", ".join(contact) or "none")
    try:
        await _look(job, tools)
    except Failure as failure:
        journal.warning("The CA does not tell how account %s is: %s", job.name, failure.message)


async def _look(job: Job, tools: Tools) -> None:
    """Has the CA tell how the account is now."""
    await tools.daemons.priv("PermitAccount", job=job.id, account=job.name, operation="read", contact=[])
    answer = await tools.daemons.client("ReadAccount", timeout=_TIMEOUT, job=job.id, account=job.name)
    known = tools.catalogue.account(job.name)
    tools.catalogue.save_account(job.name, replace(known, status=journal.printable(answer["status"])))
