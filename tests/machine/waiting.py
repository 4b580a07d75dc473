# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wait for something to become true, and say what it was when it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(description: str, predicate: Callable[[], T], timeout: float = 30, interval: float = 0.05) -> T:
    """Call `predicate` until it answers something true, and return that; TimeoutError when it never does."""
    deadline = time.monotonic() + timeout
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s for {description}; last answer: {answer!r}")
        time.sleep(interval)
