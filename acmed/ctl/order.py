# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl order"""

from argparse import Namespace

from acmed.bus import DBusError
from acmed.ctl.arguments import order_name
from acmed.ctl.exits import Exit
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session


async def order(session: Session, arguments: Namespace) -> Exit:
    """Orders a certificate and waits for it."""
    name = order_name(arguments.name, arguments.names)
    identifiers = list(dict.fromkeys(str(identifier) for identifier in arguments.names))
    options: dict[str, str | list[str]] = {}
    if arguments.account is not None:
        options["account"] = arguments.account
    if arguments.key_type is not None:
        options["key-type"] = arguments.key_type
    if arguments.service is not None:
        options["services"] = list(dict.fromkeys(arguments.service))
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await session.acmed.order(name, identifiers, options)
        except DBusError as error:
            outcomes = [refused(name, error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, "order")
