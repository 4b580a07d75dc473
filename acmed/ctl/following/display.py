# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows running jobs on standard error: redrawn in place on a terminal, a line for each step elsewhere."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from acmed.ctl.following import progress
from acmed.ctl.output import Output, safe
from acmed.ctl.records import Job

_REDRAW = 0.05  # seconds between two drawings
_UP_AND_CLEAR = "\x1b[{}A\r\x1b[J"


class Display(Protocol):
    """What follow.py tells."""

    def show(self, jobs: Sequence[Job]) -> None:
        """These jobs run, and this is how far they are."""

    def note(self, text: str) -> None:
        """A line between, or above, what is shown."""

    def close(self) -> None:
        """Nothing more is shown."""


class Live:
    """On a terminal."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._drawn = 0
        self._timer: asyncio.TimerHandle | None = None

    def show(self, jobs: Sequence[Job]) -> None:
        self._jobs = [_printable(job) for job in jobs]
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REDRAW, self._draw)

    def note(self, text: str) -> None:
        self._clear()
        print(safe(text), file=sys.stderr)
        self._draw()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._clear()
        sys.stderr.flush()

    def _draw(self) -> None:
        self._timer = None
        self._clear()
        size = shutil.get_terminal_size()
        lines = progress.live(self._jobs, size.columns, size.lines)
        for line in lines:
            print(line, file=sys.stderr)
        sys.stderr.flush()
        self._drawn = len(lines)

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write(_UP_AND_CLEAR.format(self._drawn))
            self._drawn = 0


class Plain:
    """Into a file, a pipe or the journal."""

    def __init__(self) -> None:
        self._last: dict[int, str] = {}

    def show(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            step = progress.step(job)
            # A step that has no more to say is no news.
            if job.step and not self._last.get(job.id, "").startswith(step):
                self._last[job.id] = step
                self.note(progress.plain(job))

    def note(self, text: str) -> None:
        print(safe(text), file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class Silent(Plain):
    """With --quiet or --json: notes (the journal of -v) alone."""

    def show(self, jobs: Sequence[Job]) -> None:
        pass


def choose(output: Output) -> Display:
    """The display for this output."""
    if output.quiet or output.json:
        return Silent()
    return Live() if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" else Plain()


def _printable(job: Job) -> Job:
    return replace(job, certificate=safe(job.certificate), step=safe(job.step))
