# SPDX-License-Identifier: LGPL-2.1-or-later
"""A deadline for each test: acmed runs in the test's process, so one that hangs or spins holds up all of them."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

_DEADLINE = 120.0  # seconds; only a test that fails comes near it
_AGAIN = 5.0  # for what goes on with its cleaning up


class Overdue(SystemExit):
    """asyncio passes this on from any task, instead of keeping it until somebody asks for the task's result."""


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _overdue)
    signal.setitimer(signal.ITIMER_REAL, _DEADLINE, _AGAIN)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _overdue(_number: int, _frame: FrameType | None) -> None:
    raise Overdue(f"the test did not end within {_DEADLINE:g} s")
