# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of an account's new key (RFC 8555 section 7.3.5). acme-privd keeps both keys until the CA has taken the new
one, so that a job that was interrupted anywhere can go on.
"""

from acmed import journal
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

_TIMEOUT = 300.0  # seconds


async def rollover(job: Job, tools: Tools) -> None:
    """Raises Failure."""
    if not job.record.changed:
        job.report("account", 10)
        await tools.daemons.priv("NewAccountKey", job=job.id, account=job.name, keyType=job.record.key_type)
        job.commit()
        job.report("account", 30)
        await tools.daemons.client("ChangeKey", timeout=_TIMEOUT, job=job.id, account=job.name)
        job.keep(changed=True)  # from here on there is only one way, and no other key
    job.report("account", 80)
    await tools.daemons.priv("AdoptAccountKey", job=job.id, account=job.name)
    journal.notice("Account %s has a new key (%s)", job.name, job.record.key_type)
