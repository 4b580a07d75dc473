# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account: add, list, show, update, rollover and deactivate"""

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import Sequence

from acmed.bus import DBusError
from acmed.ctl import files, table, times
from acmed.ctl.client import Options
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.following.follow import Outcome
from acmed.ctl.output import safe
from acmed.ctl.records import Account, Error
from acmed.ctl.report import refused, report
from acmed.ctl.session import Session

# The types of the jobs that the methods start.
_KINDS = {"Update": "update-account", "RolloverKey": "rollover-key", "Deactivate": "deactivate-account"}
_TERMS = "org.acmed1.Error.TermsNotAgreed"


async def add(session: Session, arguments: Namespace) -> Exit:
    """Makes an account's key on this host and registers it with the CA. Asks a person at a terminal about its terms."""
    outcome = await add_with_terms(session, arguments.account, _wanted(arguments))
    return report(session.output, [outcome], "account")


async def add_with_terms(session: Session, name: str, options: Options) -> Outcome:
    """Adds an account; asks a person at a terminal where the CA has terms that nobody agreed to."""
    outcome = await _add(session, name, options)
    if outcome.error and outcome.error.name == _TERMS and await _agrees(session, outcome.error):
        outcome = await _add(session, name, {**options, "agree-tos": True})
    return outcome


async def _add(session: Session, name: str, options: Options) -> Outcome:
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await session.acmed.add_account(name, options)
        except DBusError as error:
            return refused(name, error)
        (outcome,) = await follower.follow([job])
        return outcome


def _wanted(arguments: Namespace) -> dict[str, str | bool | int | list[str]]:
    """The options of AddAccount. Raises CommandError."""
    options: dict[str, str | bool | int | list[str]] = {}
    if arguments.directory is not None:
        options["directory"] = arguments.directory
    if arguments.agree_tos:
        options["agree-tos"] = True
    if arguments.contact:
        options["contact"] = list(dict.fromkeys(arguments.contact))
    if arguments.key_type is not None:
        options["key-type"] = arguments.key_type
    if arguments.ca_file is not None:
        options["ca-pem"] = files.certificates(arguments.ca_file)
    if arguments.eab_key_id is not None:
        options["eab-key-id"] = arguments.eab_key_id
        options["eab-hmac"] = files.secret(arguments.eab_hmac_file)
        options["eab-algorithm"] = arguments.eab_algorithm
    return options


async def _agrees(session: Session, error: Error) -> bool:
    """Whether the person at this terminal agrees to the terms that the error names."""
    if session.output.json or session.output.quiet or not session.ask:
        return False
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(safe(error.message), file=sys.stderr)
    print("Do you agree to these terms? [y/N] ", end="", file=sys.stderr, flush=True)
    return (await _line()).strip().lower() in ("y", "yes")


async def _line() -> str:
    """What is typed at the terminal. Ctrl-C ends the wait for it."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


async def update(session: Session, arguments: Namespace) -> Exit:
    """Changes the contacts that the CA has."""
    account = await _find(session, arguments.account)
    return await _change(session, account, "Update", {"contact": list(dict.fromkeys(arguments.contact or ()))})


async def rollover(session: Session, arguments: Namespace) -> Exit:
    """Gives an account a new key."""
    account = await _find(session, arguments.account)
    return await _change(
        session, account, "RolloverKey", {"key-type": arguments.key_type} if arguments.key_type else {}
    )


async def deactivate(session: Session, arguments: Namespace) -> Exit:
    """Ends an account at the CA."""
    return await _change(session, await _find(session, arguments.account), "Deactivate", {})


async def _change(session: Session, account: Account, method: str, options: Options) -> Exit:
    """Update, RolloverKey or Deactivate."""
    async with session.follower() as follower:
        try:
            with session.asking():
                job = await session.acmed.change_account(account, method, options)
        except DBusError as error:
            outcomes = [refused(account.name, error)]
        else:
            outcomes = await follower.follow([job])
    return report(session.output, outcomes, _KINDS[method])


async def show(session: Session, arguments: Namespace) -> Exit:
    """One account, or the default one, or the only one."""
    account = await _find(session, arguments.account)
    if session.output.json:
        session.output.document(account.json())
    else:
        session.output.lines([safe(line) for line in describe(account, time.time())])
    return Exit.DONE


async def _find(session: Session, wanted: str | None) -> Account:
    """The account of that name, or the default one, or the only one. Raises CommandError."""
    objects, manager = await asyncio.gather(session.acmed.objects(), session.acmed.manager())
    accounts = objects.accounts
    name = wanted or manager.default_account
    if not name and len(accounts) == 1:
        name = accounts[0].name
    for account in accounts:
        if account.name == name:
            return account
    raise CommandError(Exit.NOT_FOUND, f"There is no account {name}" if name else "Which account?", _known(accounts))


def _known(accounts: Sequence[Account]) -> str:
    known = ", ".join(account.name for account in accounts)
    return f"These are there: {known}" if known else "There is none yet: 'acmectl account add' makes one."


async def list_(session: Session, _: Namespace) -> Exit:
    """All accounts."""
    accounts = (await session.acmed.objects()).accounts
    if session.output.json:
        session.output.document([account.json() for account in accounts])
        return Exit.DONE
    session.output.table(
        ("ACCOUNT", "DIRECTORY", "REGISTERED", "CONTACT", "KEY"),
        [
            (
                account.name,
                safe(account.directory),
                "yes" if account.uri else "no",
                safe(_contacts(account, ", ")),
                safe(account.key) or "credential",
            )
            for account in accounts
        ],
    )
    if not accounts and not session.output.quiet:
        session.output.line("No accounts. 'acmectl account add --directory letsencrypt-staging ...' makes one.")
    return Exit.DONE


def describe(account: Account, now: float) -> list[str]:
    """The lines of `account show`."""
    pairs = [
        ("Account", account.name),
        ("Directory", account.directory),
        ("URI", account.uri or "not registered yet"),
        ("Status", account.status or "-"),
        ("Contact", _contacts(account, "\n") or "-"),
        ("Terms of service", account.terms or "-"),
        ("Key", account.key or "a credential of acme-keyd"),
    ]
    if account.authorize:
        pairs.append(("Authorize", "\n".join(account.authorize)))
    if account.failures:
        pairs.append(("Failures", f"{account.failures} in a row, to have these names validated"))
    if account.retry_at > now * 1_000_000:
        pairs.append(("Next attempt", times.with_relative(account.retry_at, now)))
    if account.error:
        when = f", {times.with_relative(account.error.time, now)}" if account.error.time else ""
        pairs.append(("Last error", f"{account.error.message}\n{account.error.name}{when}"))
    return table.fields(pairs, colour=False)


def _contacts(account: Account, between: str) -> str:
    return between.join(contact.removeprefix("mailto:") for contact in account.contact)
