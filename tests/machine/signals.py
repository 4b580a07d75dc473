# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave in good order on the signals that would end us without a word."""

import signal
import threading
from types import FrameType


def exit_on_signals() -> None:
    """Make SIGTERM and SIGHUP run `finally` and atexit as Ctrl-C does, unless somebody else already handles them."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
