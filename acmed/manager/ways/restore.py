# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way back of published files that are missing, were changed, or do not fit each other."""

from acmed import journal
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools
from acmed.manager.ways.delivery import deliver


async def restore(job: Job, tools: Tools) -> None:
    """Has acme-privd put them back from the set that it keeps, and services get them again where that changed anything.

    Raises Failure; after NotIssued, as there is no whole set, the certificate is due, and is ordered next.
    """
    job.report("restore", 20)
    job.commit()
    try:
        answer = await tools.daemons.priv("Restore", job=job.id, certificate=job.name)
    except Failure as failure:
        if failure.name == errors.NOT_ISSUED:
            tools.catalogue.lost(job.name)
            raise Failure(
                errors.NOT_ISSUED, f"Nothing is kept of '{job.name}' that could be put back; it is ordered again"
            ) from failure
        raise
    restored = answer["restored"]
    tools.catalogue.restored(job.name, changed=bool(restored))
    if restored:
        journal.warning("%s was put back in place: %s", job.name, ", ".join(restored))
    else:
        journal.info("The files of %s are as they were installed", job.name)
    await deliver(job, tools)
