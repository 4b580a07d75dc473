# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thousands of collected tests stay to the end: Python need not look for garbage in them again and again, and seldom in
what tests leave.
"""

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000)
        gc.enable()
