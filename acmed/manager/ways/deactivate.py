# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of an account's end (RFC 8555 section 7.3.6)."""

from acmed import journal
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

_TIMEOUT = 300.0  # seconds
# What a CA says to an account that it has deactivated; only a run whose answer was lost asks it again.
_GONE = ("org.acmed1.AcmeError.unauthorized", "org.acmed1.AcmeError.accountDoesNotExist")


async def deactivate(job: Job, tools: Tools) -> None:
    """Ends the account at the CA, and then here. Raises Failure; acme-privd refuses it while certificates need it."""
    if not job.record.changed:
        job.report("account", 10)
        await tools.daemons.priv("PermitAccount", job=job.id, account=job.name, operation="deactivate", contact=[])
        job.commit()
        job.report("account", 30)
        try:
            await tools.daemons.client("DeactivateAccount", timeout=_TIMEOUT, job=job.id, account=job.name)
        except Failure as failure:
            if not job.resumed or failure.name not in _GONE:
                raise
        job.keep(changed=True)
    job.report("account", 80)
    await tools.daemons.priv("RetireAccount", job=job.id, account=job.name)
    tools.catalogue.forget_account(job.name)
    tools.catalogue.reload()
    journal.notice("Account %s is deactivated; its configuration and keys are in the archive", job.name)
