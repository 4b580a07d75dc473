# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl renew and acmectl restore"""

from argparse import Namespace

from acmed.bus import DBusError
from acmed.ctl.client import Started
from acmed.ctl.exits import Exit
from acmed.ctl.follow import Outcome
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session

_NOT_DUE = "org.acmed1.Error.NotDue"


async def renew(session: Session, arguments: Namespace) -> Exit:
    """Renews what was asked for and waits for it. --due with nothing due says nothing."""
    async with session.follower() as follower:
        jobs, outcomes = await (_due(session) if arguments.due else _start(session, arguments))
        if jobs:
            outcomes = await follower.follow(jobs) + outcomes
    if arguments.due and not outcomes and not session.output.json:
        return Exit.DONE
    return report(session.output, outcomes, "renew")


async def _due(session: Session) -> tuple[list[Started], list[Outcome]]:
    with session.asking():
        return await session.acmed.renew_due(), []


async def _start(session: Session, arguments: Namespace) -> tuple[list[Started], list[Outcome]]:
    """Starts a job for each certificate; what acmed refuses does not stop the others. --all may find some not due."""
    names = arguments.certificates
    if arguments.all:
        names = [certificate.name for certificate in (await session.acmed.objects()).certificates]
    options = {key: True for key, given in (("force", arguments.force), ("new-key", arguments.new_key)) if given}
    jobs, outcomes = [], []
    with session.asking():
        for name in dict.fromkeys(names):
            try:
                jobs.append(await session.acmed.renew(name, options))
            except DBusError as error:
                if arguments.all and error.name == _NOT_DUE:
                    outcomes.append(Outcome(name, None, "skipped"))
                else:
                    outcomes.append(refused(name, error))
    return jobs, outcomes


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
