# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of a revocation (RFC 8555 section 7.6)."""

import base64
import hashlib
from dataclasses import replace

from acmed import journal
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

# RFC 5280 section 5.3.1; those that a CA accepts from a subscriber.
REASONS = {0: "unspecified", 1: "keyCompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation"}
_TIMEOUT = 300.0  # seconds


async def revoke(job: Job, tools: Tools) -> None:
    """Revokes what is installed. Raises Failure."""
    job.report("revoke", 10)
    permit = await tools.daemons.priv("PermitRevoke", job=job.id, certificate=job.name, reason=job.record.reason)
    job.commit()
    job.report("revoke", 40)
    try:
        await tools.daemons.client(
            "Revoke",
            timeout=_TIMEOUT,
            job=job.id,
            account=permit["account"],
            certificate=job.name,
            der=permit["der"],
            reason=job.record.reason,
        )
    except Failure as failure:
        if failure.name != errors.ALREADY_REVOKED:  # by an attempt whose answer was lost, or by another way
            raise
    fingerprint = hashlib.sha256(base64.b64decode(permit["der"])).hexdigest()
    state = tools.catalogue.status(job.name).state
    tools.catalogue.save(job.name, replace(state, revoked=fingerprint))
    journal.notice("%s is revoked (%s)", job.name, REASONS[job.record.reason], fingerprint=fingerprint)
