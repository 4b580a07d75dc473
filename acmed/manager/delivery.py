# SPDX-License-Identifier: LGPL-2.1-or-later
"""Delivery: services get what is installed. What each got last is remembered, so what failed is owed until it works."""

from dataclasses import replace

from acmed import journal
from acmed.manager.errors import DeliveryFailed
from acmed.manager.jobs import Job
from acmed.manager.status import Status
from acmed.manager.tools import Tools
from acmed.names import OWN_FILES

# Seconds: PID 1 reloads one unit after the other, and gives each 90 by default.
_TIMEOUT = 600.0


async def deliver(job: Job, tools: Tools) -> None:
    """Has acme-privd write the certificate's own copies, and then copy the files and reload the units of each service
    that has not got what is installed.

    Raises DeliveryFailed where that fails for any of them, or another Failure.
    """
    status = tools.catalogue.status(job.name)
    if not status.undelivered:
        return
    job.commit()
    job.report("reload", 95)
    failed = await _deliver(job, tools, status, [OWN_FILES]) if OWN_FILES in status.undelivered else {}
    status = tools.catalogue.status(job.name)
    if services := [name for name in status.undelivered if name != OWN_FILES]:
        failed |= await _deliver(job, tools, status, services)
    for service, message in failed.items():
        journal.error("%s was not delivered to %s: %s", job.name, service, message, service=service)
    if failed:
        reasons = "; ".join(f"{service}: {message}" for service, message in failed.items())
        raise DeliveryFailed(f"The certificate is installed, but not delivered to {reasons}")


async def _deliver(job: Job, tools: Tools, status: Status, names: list[str]) -> dict[str, str]:
    """Remembers who has got it, and what went wrong, which is the answer. Raises Failure."""
    answer = await tools.daemons.priv("Deliver", timeout=_TIMEOUT, job=job.id, certificate=job.name, services=names)
    wanted = status.deliveries
    delivered = {one["service"]: wanted[one["service"]] for one in answer["deliveries"] if not one["error"]}
    failed = {one["service"]: one["error"] for one in answer["deliveries"] if one["error"]}
    after = tools.catalogue.status(job.name)
    # Services that read copies which come late were told of them when they were not there.
    is_late = OWN_FILES in delivered and status.undelivered[OWN_FILES]
    kept = {} if is_late else {name: had for name, had in after.state.delivered.items() if name in wanted}
    # Where the key has got another owner or group, other files have come into the place of those that were right.
    files = after.files if status.files == status.state.files else after.state.files
    errors = {name: error for name, error in after.state.delivery_errors.items() if name in wanted.keys() - names}
    state = replace(after.state, delivered=kept | delivered, delivery_errors=errors | failed, files=files)
    tools.catalogue.save(job.name, state)
    return failed
