# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account log: reads the journal itself, so that it works without acmed."""

import pwd
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from acmed.ctl.audit import log
from acmed.ctl.audit.log import Entry
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.following import journaltail
from acmed.ctl.output import Output
from acmed.journal import printable

_HEADINGS = ("TIME", "ACCOUNT", "RESULT", "OPERATION", "FOR", "BY", "SUBJECT", "WHY")


def account_log(arguments: Namespace, output: Output) -> Exit:
    """Prints what was signed and what was not, newest last. Raises CommandError."""
    if problem := journaltail.unreadable(journaltail.JOURNALS):
        raise CommandError(Exit.NOT_AUTHORISED, problem)
    try:
        entries = log.read(arguments.account, arguments.since, arguments.lines)
    except (OSError, ImportError) as error:
        raise CommandError(Exit.FAILED, f"The journal cannot be read: {error}") from None
    return show(output, entries)


def show(output: Output, entries: Sequence[Entry]) -> Exit:
    if output.json:
        output.document([entry.json() for entry in entries])
    elif entries or output.quiet:
        output.table(_HEADINGS, [[printable(text) for text in _row(entry)] for entry in entries])
    else:
        output.line("Nothing was signed, and nothing was refused.")
    return Exit.DONE


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        datetime.fromtimestamp(entry.time / 1_000_000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        entry.account,
        entry.result,
        entry.operation or "?",
        entry.peer,
        _signer(entry),
        entry.subject or "-",
        entry.reason or entry.rule,
    )


def _signer(entry: Entry) -> str:
    """acme-keyd's unit, or the user who has signed by himself, as journald knows him."""
    if entry.signer == "acme-keyd.service":
        return entry.signer
    try:
        return f"user {pwd.getpwuid(int(entry.signer_uid)).pw_name}"
    except (KeyError, ValueError, OverflowError):
        return f"uid {entry.signer_uid or '?'}"
