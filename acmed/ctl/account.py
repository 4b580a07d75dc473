# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account add, list and show"""

import re
from argparse import Namespace
from pathlib import Path

from acmed.bus import DBusError
from acmed.ctl import table
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.output import safe
from acmed.ctl.records import Account
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_CA_FILE_MAX = 1 << 20  # bytes


async def add(session: Session, arguments: Namespace) -> Exit:
    """Makes an account's key on this host and registers it with the CA."""
    name = arguments.account
    options: dict[str, str | bool | list[str]] = {"directory": arguments.directory, "agree-tos": True}
    if arguments.contact:
        options["contact"] = list(dict.fromkeys(arguments.contact))
    if arguments.key_type is not None:
        options["key-type"] = arguments.key_type
    if arguments.ca_file is not None:
        options["ca-pem"] = read_ca_file(arguments.ca_file)
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await session.acmed.add_account(name, options)
        except DBusError as error:
            outcomes = [refused(name, error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, "account")


async def show(session: Session, arguments: Namespace) -> Exit:
    """One account, or the default one, or the only one."""
    accounts = (await session.acmed.objects()).accounts
    name = arguments.account or (await session.acmed.manager()).default_account
    if not name and len(accounts) == 1:
        name = accounts[0].name
    account = next((account for account in accounts if account.name == name), None)
    if account is None:
        known = ", ".join(account.name for account in accounts)
        hint = f"These are there: {known}" if known else "There is none yet: 'acmectl account add' makes one."
        raise CommandError(Exit.NOT_FOUND, f"There is no account {name}" if name else "Which account?", hint)
    if session.output.json:
        session.output.document(account.json())
    else:
        session.output.lines([safe(line) for line in describe(account)])
    return Exit.DONE


async def list_(session: Session, _: Namespace) -> Exit:
    """All accounts."""
    accounts = (await session.acmed.objects()).accounts
    if session.output.json:
        session.output.document([account.json() for account in accounts])
        return Exit.DONE
    session.output.table(
        ("ACCOUNT", "DIRECTORY", "REGISTERED", "CONTACT"),
        [
            (account.name, safe(account.directory), "yes" if account.uri else "no", safe(_contacts(account, ", ")))
            for account in accounts
        ],
    )
    if not accounts and not session.output.quiet:
        session.output.line("No accounts. 'acmectl account add --directory letsencrypt-staging ...' makes one.")
    return Exit.DONE


def describe(account: Account) -> list[str]:
    """The lines of `account show`."""
    pairs = [
        ("Account", account.name),
        ("Directory", account.directory),
        ("URI", account.uri or "not registered yet"),
        ("Contact", _contacts(account, "\n") or "-"),
    ]
    return table.fields(pairs, colour=False)


def read_ca_file(path: Path) -> str:
    """The certificates (PEM) in a file, without what stands between them. Raises CommandError."""
    try:
        with path.open("rb") as file:
            content = file.read(_CA_FILE_MAX + 1)
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{path}: {error.strerror or error}") from None
    if len(content) > _CA_FILE_MAX:
        raise CommandError(Exit.FAILED, f"{path}: larger than {_CA_FILE_MAX} bytes")
    text = content.decode("ascii", errors="replace")
    if "PRIVATE KEY-----" in text:
        raise CommandError(Exit.FAILED, f"{path}: holds a private key", "Give a file with the CA's certificates alone.")
    found = _CERTIFICATE.findall(text)
    if not found:
        raise CommandError(Exit.FAILED, f"{path}: holds no certificate in PEM")
    return "\n".join(found) + "\n"


def _contacts(account: Account, between: str) -> str:
    return between.join(contact.removeprefix("mailto:") for contact in account.contact)
