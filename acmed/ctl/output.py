# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is printed where: results on standard output, progress and errors on standard error."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from acmed.ctl import table
from acmed.journal import printable


@dataclass(frozen=True)
class Output:
    """How to print. Text from elsewhere (a CA's message) goes through safe() before it reaches a terminal."""

    json: bool = False
    quiet: bool = False
    colour: str = "auto"  # auto always never

    def line(self, text: str = "") -> None:
        """A line of a result; flushed, as a reader may wait for it."""
        print(text, flush=True)

    def lines(self, texts: Sequence[str]) -> None:
        """Lines of a result."""
        for text in texts:
            print(text)
        sys.stdout.flush()

    def document(self, value: Any) -> None:
        """A JSON document in one line; ASCII, so that no terminal's encoding can break it."""
        self.line(json.dumps(value, separators=(",", ":")))

    def error(self, message: str, hint: str = "") -> None:
        """An error on standard error; its lines go below each other, then what to do about it."""
        mark = table.coloured("acmectl:", "bad", self.coloured(sys.stderr))
        print(f"{mark} {safe(message)}", file=sys.stderr)
        for line in safe(hint).splitlines():
            print(f"  {line}", file=sys.stderr)
        sys.stderr.flush()

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; without its heading when quiet, cut to the width of a terminal and nowhere else."""
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        colour = self.coloured(sys.stdout)
        self.lines(table.table(headings, rows, legend=not self.quiet, colour=colour, width=width))

    def coloured(self, stream: TextIO) -> bool:
        """Whether to colour what goes to stream: --color first, then NO_COLOR (no-color.org), then the terminal."""
        if self.colour != "auto":
            return self.colour == "always"
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def safe(text: str) -> str:
    """text with what a terminal would obey escaped; its line breaks stay."""
    return "\n".join(printable(line) for line in text.splitlines())


def prepare_streams() -> None:
    """Makes printing never fail for a character: what the terminal's encoding lacks is escaped.

    A stream that is closed becomes /dev/null.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for the life of the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
