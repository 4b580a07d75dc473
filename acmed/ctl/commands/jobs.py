# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl jobs and acmectl cancel"""

import pwd
from argparse import Namespace

from acmed.bus import DBusError
from acmed.ctl import times
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.following.progress import step
from acmed.ctl.output import safe
from acmed.ctl.session import Session

_NO_SUCH_OBJECT = ("org.freedesktop.DBus.Error.UnknownObject", "org.acmed1.Error.NoSuchJob")


async def jobs(session: Session, _: Namespace) -> Exit:
    """The jobs that run."""
    running = (await session.acmed.objects()).jobs
    if session.output.json:
        session.output.document([job.json() for job in running])
        return Exit.DONE
    session.output.table(
        ("JOB", "TYPE", "CERTIFICATE", "PROGRESS", "USER", "SINCE", "STEP"),
        [
            (
                str(job.id),
                safe(job.type),
                safe(job.certificate),
                f"{job.progress}%",
                user(job.uid),
                times.local(job.started),
                safe(step(job)),
            )
            for job in running
        ],
    )
    if not running and not session.output.quiet:
        session.output.line("No jobs.")
    return Exit.DONE


async def cancel(session: Session, arguments: Namespace) -> Exit:
    """Ends a job."""
    try:
        with session.asking():
            await session.acmed.cancel(arguments.job)
    except DBusError as error:
        if error.name in _NO_SUCH_OBJECT:
            raise CommandError(
                Exit.NOT_FOUND, f"There is no job {arguments.job}", "'acmectl jobs' shows the jobs that run."
            ) from None
        raise
    if session.output.json:
        session.output.document({"canceled": arguments.job})
    elif not session.output.quiet:
        session.output.line(f"Job {arguments.job} is being canceled.")
    return Exit.DONE


def user(uid: int) -> str:
    """A user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
