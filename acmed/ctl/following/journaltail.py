# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal's entries of jobs, as they are written (acmectl --verbose)."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

JOURNALS = (Path("/var/log/journal"), Path("/run/log/journal"))
_LAST = 0.3  # seconds for the last entries of a job to arrive


class JournalTail:
    """Passes each entry with ACME_JOB= of the jobs, from since (seconds since the epoch) on, to note as a line."""

    def __init__(self, note: Callable[[str], None], since: float) -> None:
        self._note = note
        self._since = since
        self._reader: Any = None  # systemd.journal.Reader, which has no types
        self._noted = False

    def follow(self, jobs: Sequence[int]) -> None:
        """Follows these jobs too. Says so once where the journal cannot be read."""
        if not self._open():
            return
        for job in jobs:
            self._reader.add_match(ACME_JOB=str(job))  # matches of one field are alternatives
        self._reader.seek_realtime(self._since)
        self._read()

    async def close(self) -> None:
        """Passes what is still on its way, and ends."""
        if self._reader is None:
            return
        await asyncio.sleep(_LAST)
        self._read()
        asyncio.get_running_loop().remove_reader(self._reader.fileno())
        self._reader.close()
        self._reader = None

    def _open(self) -> bool:
        if self._reader is not None:
            return True
        problem = unreadable(JOURNALS)
        if not problem:
            try:
                from systemd import journal  # noqa: PLC0415  only with --verbose

                self._reader = journal.Reader()
                asyncio.get_running_loop().add_reader(self._reader.fileno(), self._read)
            except (ImportError, OSError) as error:
                problem = f"The journal cannot be read: {error}"
        if problem and not self._noted:
            self._noted = True
            self._note(problem)
        return not problem

    def _read(self) -> None:
        self._reader.process()
        for entry in self._reader:
            self._since = max(self._since, entry["__REALTIME_TIMESTAMP"].timestamp())
            if trusted(entry):
                self._note(line(entry))


def unreadable(directories: Sequence[Path]) -> str:
    """Why the system's journal cannot be read by this user; empty when it can."""
    files = [file for directory in directories for file in _files(directory)]
    if any(os.access(file, os.R_OK) for file in files):
        return ""
    if not files:
        return "There is no journal on this system."
    return "The journal cannot be read by this user: be root, or in the group systemd-journal or adm."


def trusted(entry: Mapping[str, Any]) -> bool:
    """Whether a unit of ours wrote it: anybody may write ACME_JOB= to the journal, but not _SYSTEMD_UNIT=."""
    return str(entry.get("_SYSTEMD_UNIT", "")).startswith(("acmed.", "acme-"))


def line(entry: Mapping[str, Any]) -> str:
    """12:00:01 acme-clientd: message"""
    when = entry.get("__REALTIME_TIMESTAMP")
    clock = when.strftime("%H:%M:%S") if isinstance(when, datetime) else time.strftime("%H:%M:%S")
    return f"{clock} {entry.get('SYSLOG_IDENTIFIER', '?')}: {entry.get('MESSAGE', '')}"


def _files(directory: Path) -> list[Path]:
    try:
        return list(directory.glob("*/system*.journal"))
    except OSError:
        return []
