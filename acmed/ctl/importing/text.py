# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plan as text, and as the JSON that acmectl(1) documents."""

from collections.abc import Iterator
from typing import Any

from acmed.config.model import Problem
from acmed.ctl import table
from acmed.ctl.commands.configcheck import as_json
from acmed.ctl.importing.plan import Plan
from acmed.ctl.importing.report import Entry, Fate
from acmed.ctl.output import safe

_HEADINGS = {
    Fate.KEPT: "As it was",
    Fate.CHANGED: "Not quite as it was",
    Fate.DROPPED: "Not imported",
}


def lines(plan: Plan, shows_files: bool, colour: bool) -> list[str]:
    """The report. shows_files: with what is in the files."""
    return list(_lines(plan, shows_files, colour))


def _lines(plan: Plan, shows_files: bool, colour: bool) -> Iterator[str]:
    for fate, heading in _HEADINGS.items():
        entries = [entry for entry in entries_in_order(plan) if entry.fate is fate]
        yield from _block(heading, (line for entry in entries for line in _entry(entry)), colour)
    yield from _block("Notes", (safe(note) for note in plan.report.notes), colour)
    for file in plan.files if shows_files else ():
        yield from _block(f"{file.path} (mode {file.mode:04o})", safe(file.text).splitlines(), colour)
    if plan.report.errors:
        return
    tasks = [line for task in plan.report.tasks for line in task.replace("\n", "\n    ").split("\n")]
    tasks += [line for problem in plan.problems for line in _problem(problem)]
    yield from _block("Do first", map(safe, tasks), colour)
    yield from _block("Then run, in this order", map(safe, plan.commands), colour)


def entries_in_order(plan: Plan) -> list[Entry]:
    """As the files have them."""
    order = {setting: number for number, setting in enumerate(plan.lacme.settings())}
    return sorted(plan.report.entries, key=lambda entry: order.get(entry.setting, -1))


def _problem(problem: Problem) -> list[str]:
    message = f"{'Perhaps: ' if problem.note else ''}{problem.message}"
    return [message, *(f"    {line}" for line in problem.hint.splitlines())]


def _block(heading: str, found: Any, colour: bool) -> Iterator[str]:
    texts = list(found)
    if texts:
        yield table.coloured(safe(heading), "bold", colour)
        yield from (f"  {line}".rstrip() for line in texts)
        yield ""


def _entry(entry: Entry) -> Iterator[str]:
    setting = entry.setting
    yield safe(f"{setting.path}:{setting.line}: {setting.title} = {setting.value}")
    yield safe(f"    {entry.text}")


def document(plan: Plan, written: bool) -> dict[str, Any]:
    """As acmectl(1) documents it."""
    return {
        "written": written,
        "files": [{"path": str(one.path), "mode": f"{one.mode:04o}", "content": one.text} for one in plan.files],
        "settings": [
            {
                "file": str(entry.setting.path),
                "line": entry.setting.line,
                "section": None if entry.setting.section == "_" else entry.setting.section,
                "key": entry.setting.key,
                "value": entry.setting.value,
                "fate": entry.fate.value,
                "message": entry.text,
            }
            for entry in entries_in_order(plan)
        ],
        "errors": plan.report.errors,
        "notes": plan.report.notes,
        "tasks": plan.report.tasks,
        "problems": [as_json(problem) for problem in plan.problems],
        "commands": list(plan.commands),
    }
