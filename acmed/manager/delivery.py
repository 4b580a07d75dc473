# SPDX-License-Identifier: LGPL-2.1-or-later
"""Delivery: services get what is installed. What each got last is remembered, so what failed is owed until it works."""

from dataclasses import replace

from acmed import journal
from acmed.manager.errors import DeliveryFailed
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

# Seconds: PID 1 reloads one unit after the other, and gives each 90 by default.
_TIMEOUT = 600.0


async def deliver(job: Job, tools: Tools) -> None:
    """Has acme-privd copy the files and reload the units of each service that has not got what is installed.

    Raises DeliveryFailed where that fails for any of them, or another Failure.
    """
    status = tools.catalogue.status(job.name)
    services = list(status.undelivered)
    if not services:
        return
    job.commit()
    job.report("reload", 95)
    answer = await tools.daemons.priv("Deliver", timeout=_TIMEOUT, job=job.id, certificate=job.name, services=services)
    failed = {one["service"]: one["error"] for one in answer["deliveries"] if one["error"]}
    delivered = {one["service"]: status.fingerprint for one in answer["deliveries"] if not one["error"]}
    state = tools.catalogue.status(job.name).state
    configured = status.configured.services if status.configured else ()
    kept = {name: fingerprint for name, fingerprint in state.delivered.items() if name in configured}
    tools.catalogue.save(job.name, replace(state, delivered=kept | delivered, delivery_errors=failed))
    for service, message in failed.items():
        journal.error("%s was not delivered to %s: %s", job.name, service, message, service=service)
    if failed:
        reasons = "; ".join(f"{service}: {message}" for service, message in failed.items())
        raise DeliveryFailed(f"The certificate is installed, but not delivered to {reasons}")
