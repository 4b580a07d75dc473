# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands that need acmed: connects, runs one, and explains what acmed or the bus refuses."""

import asyncio
import signal
from argparse import Namespace
from collections.abc import Awaitable, Callable

from acmed.bus import BusLost, DBusError
from acmed.ctl.advice import advice
from acmed.ctl.commands import account, check, dns, jobs, order, renew, revoke, show, watch
from acmed.ctl.exits import CommandError, Exit, for_error
from acmed.ctl.output import Output
from acmed.ctl.session import Session


async def _import_account(session: Session, arguments: Namespace) -> Exit:
    from acmed.ctl.commands import accountimport  # noqa: PLC0415  slow to load, as it reads keys

    return await accountimport.import_(session, arguments)


_COMMANDS: dict[str, Callable[[Session, Namespace], Awaitable[Exit]]] = {
    "account-add": account.add,
    "account-import": _import_account,
    "account-list": account.list_,
    "account-show": account.show,
    "account-update": account.update,
    "account-rollover": account.rollover,
    "account-deactivate": account.deactivate,
    "order": order.order,
    "authorize": order.authorize,
    "check": check.check,
    "dns-show": dns.show,
    "list": show.list_,
    "status": show.status,
    "renew": renew.renew,
    "revoke": revoke.revoke,
    "restore": renew.restore,
    "forget": revoke.forget,
    "jobs": jobs.jobs,
    "watch": watch.watch,
    "cancel": jobs.cancel,
}


def over_the_bus(arguments: Namespace, out: Output) -> Exit:
    """Runs one command. Raises CommandError."""
    try:
        return asyncio.run(_run(arguments, out))
    except DBusError as error:
        message = f"{error.message} ({error.name})" if error.message else error.name
        raise CommandError(for_error(error.name), message, advice(error.name)) from None
    except BusLost as error:
        hint = "'systemctl status dbus.service' has more about the system bus."
        raise CommandError(Exit.UNREACHABLE, str(error), hint) from None


async def _run(arguments: Namespace, out: Output) -> Exit:
    task = asyncio.current_task()
    if task:  # on SIGTERM as on Ctrl-C, an agent that asks for a password must be ended
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with Session.open(out, ask=not arguments.no_ask_password, verbose=arguments.verbose) as session:
            return await _COMMANDS[arguments.command](session, arguments)
    except asyncio.CancelledError:
        return Exit.INTERRUPTED
