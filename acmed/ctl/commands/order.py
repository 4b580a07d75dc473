# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl order and acmectl authorize"""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence

from acmed.bus import DBusError
from acmed.ctl import files
from acmed.ctl.client import Options, Started
from acmed.ctl.commandline.arguments import order_name
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session
from acmed.names import Identifier


async def order(session: Session, arguments: Namespace) -> Exit:
    """Orders a certificate and waits for it."""
    name = _name(arguments)
    csr = None if arguments.csr is None else files.request(arguments.csr)
    options = _wanted(arguments)
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await _start(session, name, _values(arguments.names), csr, options)
        except DBusError as error:
            outcomes = [refused(name, error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, "order")


def _name(arguments: Namespace) -> str:
    """Raises CommandError: a DNS name may be longer than the name of a certificate."""
    try:
        return order_name(arguments.name, arguments.names)
    except ArgumentTypeError as error:
        raise CommandError(Exit.USAGE, str(error), "--name gives the certificate another name.") from None


async def _start(session: Session, name: str, names: list[str], csr: bytes | None, options: Options) -> Started:
    if csr is not None:
        return await session.acmed.order_csr(name, csr, options)
    return await session.acmed.order(name, names, options)


def _wanted(arguments: Namespace) -> Options:
    """The options of Order and OrderCSR: those that were given."""
    given: dict[str, str | bool | int | list[str] | None] = {
        "account": arguments.account,
        "failover": _once(arguments.failover),
        "key-type": arguments.key_type,
        "services": _once(arguments.service),
        "challenge": arguments.challenge,
        "profile": arguments.profile,
        "must-staple": arguments.must_staple or None,
        "common-name": arguments.common_name,
        "preferred-chain": arguments.preferred_chain,
        "validity-days": arguments.validity,
        "backdate-hours": arguments.backdate,
    }
    return {key: value for key, value in given.items() if value is not None}


async def authorize(session: Session, arguments: Namespace) -> Exit:
    """Has the CA validate names, and orders nothing."""
    names = _values(arguments.names)
    options = {} if arguments.account is None else {"account": arguments.account}
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await session.acmed.authorize(names, options)
        except DBusError as error:
            outcomes = [refused(" ".join(names), error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, "authorize")


def _values(identifiers: Sequence[Identifier]) -> list[str]:
    return list(dict.fromkeys(str(identifier) for identifier in identifiers))


def _once(words: list[str] | None) -> list[str] | None:
    return None if words is None else list(dict.fromkeys(words))
