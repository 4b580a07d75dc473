# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl import lacme: reads and writes files itself, as root. Nothing goes over D-Bus, whose callers must not spell
paths and commands.
"""

import os
import sys
from pathlib import Path

from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.importing import text, writing
from acmed.ctl.importing.plan import Places, Plan, make
from acmed.ctl.importing.tiny import BadSource
from acmed.ctl.output import Output

_NOTHING = "Nothing was written."


def import_lacme(output: Output, source: Path, dry_run: bool, places: Places | None = None) -> Exit:
    """Prints the report, and writes the files unless dry_run. Raises CommandError; then nothing is written."""
    if not dry_run and os.geteuid() != 0:
        raise CommandError(
            Exit.NOT_AUTHORISED, "Only root may write acmed's configuration.", "With --dry-run nothing is written."
        )
    try:
        plan = make(source, places or Places())
    except BadSource as error:
        raise CommandError(Exit.FAILED, str(error), _NOTHING) from None
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{error.filename}: {error.strerror or error}", _NOTHING) from None
    if plan.report.errors:
        _print(output, plan, dry_run, written=False)
        raise CommandError(Exit.FAILED, "\n".join(plan.report.errors), _NOTHING)
    if not dry_run:
        _write(plan)
    _print(output, plan, dry_run, written=not dry_run)
    return Exit.DONE


def _write(plan: Plan) -> None:
    """Raises CommandError."""
    try:
        writing.write(plan.files)
    except OSError as error:
        where = error.filename2 or error.filename
        raise CommandError(Exit.FAILED, f"{where}: {error.strerror or error}", _NOTHING) from None


def _print(output: Output, plan: Plan, dry_run: bool, written: bool) -> None:
    if output.json:
        output.document(text.document(plan, written))
    elif not output.quiet:
        output.lines(text.lines(plan, dry_run, output.coloured(sys.stdout)))
        if written:
            output.lines([f"Wrote {file.path}" for file in plan.files])
        elif dry_run:
            output.line(_NOTHING)
