# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account import: takes over an account that another client has made."""

from argparse import Namespace

from acmed.ctl import accountkey, files, otherclients
from acmed.ctl.client import Options
from acmed.ctl.commands import account
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.otherclients import Found
from acmed.ctl.report import report
from acmed.ctl.session import Session


def prepare(arguments: Namespace) -> None:
    """Reads what is to be brought along, as long as Ctrl-C ends the question for a passphrase, which it does not where
    asyncio runs. Raises CommandError.
    """
    arguments.found = otherclients.find(arguments.path)
    arguments.options = _wanted(arguments, arguments.found)


async def import_(session: Session, arguments: Namespace) -> Exit:
    """Has acmed seal the key, and the CA find the account by it. arguments: prepared."""
    outcome = await account.add_with_terms(session, arguments.name, arguments.options)
    code = report(session.output, [outcome], "account")
    found: Found = arguments.found
    known = outcome.account.uri if outcome.account else ""
    if code is Exit.DONE and found.uri and known != found.uri and not session.output.json:
        session.output.error(f"The files of the other client name another account at the CA: {found.uri}")
    return code


def _wanted(arguments: Namespace, found: Found) -> Options:
    """The options of AddAccount. Raises CommandError."""
    directory = arguments.directory or found.directory
    if not directory:
        accountkey.check(found.key)  # of what is no key nothing else is to be said
        raise CommandError(
            Exit.USAGE, f"{arguments.path}: does not say which CA the account is at", "Give its --directory."
        )
    key = accountkey.read(found.key, ask=not arguments.no_ask_password)
    options: dict[str, str | bool | int | list[str]] = {"key": key, "directory": directory}
    contact = arguments.contact or found.contact
    if contact:
        options["contact"] = list(dict.fromkeys(contact))
    if arguments.agree_tos:
        options["agree-tos"] = True
    if arguments.ca_file is not None:
        options["ca-pem"] = files.certificates(arguments.ca_file)
    return options
