# SPDX-License-Identifier: LGPL-2.1-or-later
"""Structured log lines: to the journal where systemd reads our standard error, else to standard error.

Fields: ACME_JOB, ACME_CERTIFICATE, ACME_ACCOUNT and so on; acmed(8) and acme-keyd(8) list them. What is in a field or a
message is escaped, so nothing that a peer sent can forge an entry.
"""

import os
import sys
import syslog
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any

LEVELS = {
    "emerg": syslog.LOG_EMERG,
    "alert": syslog.LOG_ALERT,
    "crit": syslog.LOG_CRIT,
    "err": syslog.LOG_ERR,
    "warning": syslog.LOG_WARNING,
    "notice": syslog.LOG_NOTICE,
    "info": syslog.LOG_INFO,
    "debug": syslog.LOG_DEBUG,
}

_context: ContextVar[dict[str, Any] | None] = ContextVar("fields", default=None)
_max_level = syslog.LOG_INFO
_identifier = "acmed"


def setup(identifier: str, level: str = "info") -> None:
    """Names this program in SYSLOG_IDENTIFIER= and sets what it logs at most (a name of LEVELS)."""
    global _identifier, _max_level
    _identifier, _max_level = identifier, LEVELS[level]


def level() -> str:
    """The name of the level up to which lines are logged."""
    return next(name for name, value in LEVELS.items() if value == _max_level)


@contextmanager
def fields(**values: Any) -> Iterator[None]:
    """Adds fields (job=1 becomes ACME_JOB=1) to each line inside, also in tasks that are created inside."""
    token = _context.set((_context.get() or {}) | values)
    try:
        yield
    finally:
        _context.reset(token)


def debug(message: str, *arguments: object, **values: Any) -> None:
    log(syslog.LOG_DEBUG, message, *arguments, **values)


def info(message: str, *arguments: object, **values: Any) -> None:
    log(syslog.LOG_INFO, message, *arguments, **values)


def notice(message: str, *arguments: object, **values: Any) -> None:
    log(syslog.LOG_NOTICE, message, *arguments, **values)


def warning(message: str, *arguments: object, **values: Any) -> None:
    log(syslog.LOG_WARNING, message, *arguments, **values)


def error(message: str, *arguments: object, **values: Any) -> None:
    log(syslog.LOG_ERR, message, *arguments, **values)


def exception(message: str, problem: BaseException) -> None:
    """Logs a defect with where it happened, without the values of any variable."""
    frames = traceback.extract_tb(problem.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-6:]))
    log(syslog.LOG_CRIT, "%s: %s at %s", message, type(problem).__name__, where)


def log(priority: int, message: str, *arguments: object, message_id: str | None = None, **values: Any) -> None:
    """One line. values become fields; message_id is a MESSAGE_ID of the catalog (units/acmed.catalog)."""
    if priority <= _max_level:
        Entry(priority, message % arguments if arguments else message, message_id, values).record()


@dataclass(frozen=True)
class Entry:
    """One line as log() has it, whatever the level. priority: of syslog(3). fields: as those of fields()."""

    priority: int
    text: str
    message_id: str | None
    fields: dict[str, Any]

    def record(self) -> None:
        text = printable(self.text)
        if "JOURNAL_STREAM" not in os.environ:
            try:
                print(f"{_identifier}: {text}", file=sys.stderr)
            except OSError:  # whoever watched has gone, or closed the terminal: that must not end the program
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
            return
        if not self.send():
            print(f"<{self.priority}>{text}", file=sys.stderr, flush=True)  # sd-daemon(3)

    def send(self) -> bool:
        """Straight to the journal. False where there is no way there: in a unit without AF_UNIX, or an installation
        without systemd-python.
        """
        values = (_context.get() or {}) | self.fields
        named = {f"ACME_{name.upper()}": printable(str(value)) for name, value in values.items()}
        if self.message_id:
            named["MESSAGE_ID"] = self.message_id
        try:
            from systemd import journal  # noqa: PLC0415 - not needed by programs that run in a terminal

            code = _caller()
            journal.send(
                printable(self.text),
                CODE_FILE=code.f_code.co_filename,
                CODE_LINE=code.f_lineno,
                CODE_FUNC=code.f_code.co_qualname,
                PRIORITY=str(self.priority),
                SYSLOG_IDENTIFIER=_identifier,
                **named,
            )
        except (OSError, ImportError):
            return False
        return True


def _caller() -> FrameType:
    """The code that has something to say; systemd-python would name this module, after a long look."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ and frame.f_back:
        frame = frame.f_back
    return frame


def printable(text: str) -> str:
    """text with each control character, line separator and lone surrogate escaped as Python would."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
