# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl renew and acmectl restore"""

from argparse import Namespace

from acmed.bus import DBusError
from acmed.ctl.client import Started
from acmed.ctl.exits import Exit
from acmed.ctl.following.follow import Outcome
from acmed.ctl.records import Certificate
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session

_NOT_DUE = "org.acmed1.Error.NotDue"


async def renew(session: Session, arguments: Namespace) -> Exit:
    """Renews what was asked for and waits for it. --due with nothing due says nothing."""
    async with session.follower() as follower:
        by_rule = arguments.due and arguments.min_days is None
        jobs, outcomes = await (_due(session) if by_rule else _start(session, arguments))
        if jobs:
            outcomes = await follower.follow(jobs) + outcomes
    if arguments.due and not outcomes and not session.output.json:
        return Exit.DONE
    return report(session.output, outcomes, "renew")


async def _due(session: Session) -> tuple[list[Started], list[Outcome]]:
    with session.asking():
        return await session.acmed.renew_due(), []


async def _start(session: Session, arguments: Namespace) -> tuple[list[Started], list[Outcome]]:
    """Starts a job for each certificate; what acmed refuses does not stop the others. --all may find some not due, and
    says so; --due does not.
    """
    names = arguments.certificates
    if arguments.all or arguments.due:
        certificates = (await session.acmed.objects()).certificates
        names = [one.name for one in certificates if arguments.all or _is_free(one)]
    options: dict[str, bool | int] = {}
    for key, value in (("force", arguments.force), ("new-key", arguments.new_key), ("min-days", arguments.min_days)):
        if value is not None and value is not False:
            options[key] = value
    jobs, outcomes = [], []
    with session.asking():
        for name in dict.fromkeys(names):
            try:
                jobs.append(await session.acmed.renew(name, options))
            except DBusError as error:
                if error.name != _NOT_DUE or arguments.certificates:
                    outcomes.append(refused(name, error))
                elif arguments.all:
                    outcomes.append(Outcome(name, None, "skipped"))
    return jobs, outcomes


def _is_free(certificate: Certificate) -> bool:
    """Whether the timer would renew it, too, were it due: nothing is being done with it, it is not to wait after a
    failure, and it was not revoked, after which acmed knows whether to order another one.
    """
    return not certificate.job and not certificate.retry_at and certificate.state != "revoked"


async def restore(session: Session, arguments: Namespace) -> Exit:
    """Puts installed files back that are missing or were changed."""
    name = arguments.certificate
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await session.acmed.restore(name)
        except DBusError as error:
            outcomes = [refused(name, error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, "restore")
