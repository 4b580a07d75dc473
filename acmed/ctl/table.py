# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables of text, and the colours of states."""

from collections.abc import Sequence

_GAP = "  "
_RESET = "\x1b[0m"
_COLOURS = {"good": "\x1b[32m", "warn": "\x1b[33m", "bad": "\x1b[31m", "dim": "\x1b[2m", "bold": "\x1b[1m"}
_STATES = {
    "valid": "good",
    "done": "good",
    "due": "warn",
    "skipped": "warn",
    "missing": "warn",
    "expired": "bad",
    "revoked": "bad",
    "failing": "bad",
    "failed": "bad",
    "timeout": "bad",
    "canceled": "warn",
}


def coloured(text: str, style: str, colour: bool) -> str:
    """text in a style (good warn bad dim bold), when colour is wanted."""
    return f"{_COLOURS[style]}{text}{_RESET}" if colour and style in _COLOURS else text


def state_style(state: str) -> str:
    """The style of a certificate's state or a job's result, also with more after a comma; empty for one without."""
    return _STATES.get(state.partition(",")[0], "")


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, legend: bool, colour: bool, width: int | None
) -> list[str]:
    """The lines of a table. Columns are as wide as their widest cell; what is beyond width is cut. No rows: no lines.

    legend: with the line of headings. A cell that is a state is coloured.
    """
    if not rows:
        return []
    shown = [list(headings), *[list(row) for row in rows]] if legend else [list(row) for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(headings))]
    lines = [_line(row, widths, colour and not (legend and index == 0), width) for index, row in enumerate(shown)]
    if legend:
        lines[0] = coloured(lines[0], "bold", colour)
    return lines


def fields(pairs: Sequence[tuple[str, str]], colour: bool) -> list[str]:
    """Lines of "Heading: value", the headings right-aligned as systemctl does; more lines of a value are indented."""
    indent = max((len(heading) for heading, _ in pairs), default=0)
    lines = []
    for heading, value in pairs:
        first, *more = value.split("\n")
        lines.append(f"{coloured(heading.rjust(indent), 'bold', colour)}: {first}")
        lines += [" " * (indent + 2) + line for line in more]
    return lines


def cut(text: str, width: int | None) -> str:
    """text, with its end replaced by "..." where it is longer than width."""
    return text if width is None or len(text) <= width else (text[: max(width - 3, 0)] + "...")[: max(width, 0)]


def _line(row: Sequence[str], widths: Sequence[int], colour: bool, width: int | None) -> str:
    parts: list[str] = []
    left = width
    for cell, column in zip(row, widths, strict=True):
        text = cut(cell.ljust(column), left)
        parts.append(coloured(text, state_style(cell), colour))
        if left is not None:
            left = left - len(text) - len(_GAP)
            if left <= 0:
                break
    return _GAP.join(parts).rstrip()
