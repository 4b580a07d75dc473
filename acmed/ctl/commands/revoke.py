# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl revoke and acmectl forget"""

from argparse import Namespace

from acmed.bus import DBusError
from acmed.ctl import files
from acmed.ctl.client import Started
from acmed.ctl.exits import Exit
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session


async def revoke(session: Session, arguments: Namespace) -> Exit:
    """Revokes a certificate and waits for it."""
    name = arguments.certificate or str(arguments.file)
    der = None if arguments.file is None else files.certificate(arguments.file)
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await _start(session, arguments, name, der)
        except DBusError as error:
            outcomes = [refused(name, error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, "revoke")


async def _start(session: Session, arguments: Namespace, name: str, der: bytes | None) -> Started:
    options: dict[str, str | bool] = {}
    if arguments.no_replace:
        options["replace"] = False
    if der is not None:
        if arguments.account is not None:
            options["account"] = arguments.account
        return await session.acmed.revoke_other(name, der, arguments.reason, options)
    if arguments.certificate_key:
        options["certificate-key"] = True
    return await session.acmed.revoke(name, arguments.reason, options)


async def forget(session: Session, arguments: Namespace) -> Exit:
    """Ends the management of a certificate, and says which files stay."""
    with session.asking():
        certificate = await session.acmed.forget(arguments.certificate)
    if session.output.json:
        session.output.document({"forgotten": certificate.name, "paths": dict(certificate.paths)})
    elif not session.output.quiet:
        session.output.lines(
            [
                f"{certificate.name}: acmed does not renew it any more. Its files stay:"
                if certificate.paths
                else f"{certificate.name}: forgotten",
                *[f"  {path}" for _, path in certificate.paths],
            ]
        )
    return Exit.DONE
