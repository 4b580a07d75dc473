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
    """Ends the account at the CA, where it has a URL there, and then here. Raises Failure; acme-privd refuses it while
    certificates need it.
    """
    account = tools.catalogue.configuration.accounts.get(job.name)
    if account is not None and account.uri is None:
        job.keep(changed=True)
        job.remark(f"it was not registered at {account.directory}, which was not asked")
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
    journal.notice("Account %s has ended; its configuration and keys are in the archive", job.name)
