# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl config check: reads the configuration itself, so that it works without acmed."""

import os
import sys
from typing import Any

from acmed import paths
from acmed.config import Problem, load, sealed, units
from acmed.config.check import check
from acmed.ctl import table
from acmed.ctl.exits import Exit
from acmed.ctl.output import Output, safe


def config_check(output: Output) -> Exit:
    """Prints each problem; FAILED when there are any."""
    return report(output, problems())


def problems() -> list[Problem]:
    """What is wrong in the files, and then on this host, each once. Nobody but root can open what is sealed."""
    loaded = load()
    shut = sealed.undecryptable(paths.ACCOUNT_CREDENTIALS.parent) if os.geteuid() == 0 else ()
    return list(dict.fromkeys([*loaded.problems, *check(loaded), *units.problems(loaded), *shut]))


def report(output: Output, found: list[Problem]) -> Exit:
    """The problems as lines, "file:line: message" and then what to do, or as JSON. Notes alone are no failure."""
    broken = any(not problem.note for problem in found)
    if output.json:
        output.document({"problems": [as_json(problem) for problem in found]})
        return Exit.FAILED if broken else Exit.DONE
    for problem in found:
        if not (output.quiet and problem.note):
            output.lines(lines(problem, output.coloured(sys.stdout)))
    if not broken and not output.quiet:
        output.line("No problems.")
    return Exit.FAILED if broken else Exit.DONE


def lines(problem: Problem, colour: bool) -> list[str]:
    """A problem as text; its hint below it, indented."""
    where = f"{problem.path}:{problem.line}" if problem.line else str(problem.path)
    note = "note: " if problem.note else ""
    first = f"{table.coloured(safe(where), 'bold', colour)}: {note}{safe(problem.message)}"
    return [first, *[f"    {line}".rstrip() for line in safe(problem.hint).split("\n") if problem.hint]]


def as_json(problem: Problem) -> dict[str, Any]:
    """As acmectl(1) documents it."""
    return {
        "file": str(problem.path),
        "line": problem.line or None,
        "message": problem.message,
        "hint": problem.hint or None,
        "note": problem.note,
    }
