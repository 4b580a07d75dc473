# SPDX-License-Identifier: LGPL-2.1-or-later
"""Delivery: services get what is installed. What each got last is remembered, so what failed is owed until it works."""

from dataclasses import replace

from acmed import journal
from acmed.manager.errors import DeliveryFailed, Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools
from acmed.names import HOOK_OF, OWN_FILES

# Seconds: acme-privd waits 120 for each unit, one after the other, and as long for a hook.
_LONGEST = 150.0


async def deliver(job: Job, tools: Tools) -> None:
    """Has acme-privd write the certificate's own copies, and then copy the files and reload the units of each service
    that has not got what is installed, and then run hooks. Each has its own time, and what came of it is remembered at
    once: one that hangs keeps none of the others from theirs.

    Raises DeliveryFailed where that fails for any of them, or another Failure.
    """
    undelivered = tools.catalogue.status(job.name).undelivered
    if not undelivered:
        return
    job.commit()
    failed: dict[str, str] = {}
    if OWN_FILES in undelivered:
        await _deliver(job, tools, OWN_FILES, failed)
    for name in tools.catalogue.status(job.name).undelivered:
        if name != OWN_FILES:
            await _deliver(job, tools, name, failed)
    for name, message in failed.items():
        journal.error("%s was not delivered to %s: %s", job.name, name, message, service=name)
    if failed:
        reasons = "; ".join(f"{name}: {message}" for name, message in failed.items())
        raise DeliveryFailed(f"The certificate is installed, but not delivered to {reasons}")


async def _deliver(job: Job, tools: Tools, name: str, failed: dict[str, str]) -> None:
    """Adds to failed what went wrong. Raises Failure: what came of it cannot be remembered."""
    status, error = tools.catalogue.status(job.name), ""
    if name not in status.deliveries:
        return  # the configuration has changed meanwhile
    job.report("reload", 95, detail=name)
    if (service := name.removeprefix(HOOK_OF)) in failed:
        error = f"it is run when {service} has got the certificate"
    else:
        try:
            answer = await tools.daemons.priv(
                "Deliver", timeout=_longest(tools, service), job=job.id, certificate=job.name, services=[name]
            )
            error = "; ".join(one["error"] for one in answer["deliveries"] if one["error"])
            _remark(job, *(one["remark"] for one in answer["deliveries"]))
        except Failure as failure:
            error = failure.message
    if error:
        failed[name] = error
    after, wanted = tools.catalogue.status(job.name), status.deliveries
    # Services that read copies which come late were told of them when they were not there.
    is_late = name == OWN_FILES and not error and status.undelivered[OWN_FILES]
    kept = {} if is_late else {one: had for one, had in after.state.delivered.items() if one in wanted}
    # Where the key has got another owner or group, other files have come into the place of those that were right.
    files = after.files if status.files == status.state.files else after.state.files
    errors = {one: said for one, said in after.state.delivery_errors.items() if one in wanted and one != name}
    delivered, errors = ({}, errors | {name: error}) if error else ({name: wanted[name]}, errors)
    state = replace(after.state, delivered=kept | delivered, delivery_errors=errors, files=files)
    tools.catalogue.save(job.name, state)


def _remark(job: Job, *remarks: str) -> None:
    """Adds to what is to be known about the job."""
    if any(remarks):
        job.remark("; ".join(filter(None, [job.note, *remarks])))


def _longest(tools: Tools, service: str) -> float:
    """Seconds."""
    known = tools.catalogue.configuration.services.get(service)
    return _LONGEST * max(1, len(known.units)) if known else _LONGEST
