# SPDX-License-Identifier: LGPL-2.1-or-later
"""What these tests have in common."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.unit.dnsd.world import World, running

Play = Callable[[Callable[[World], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs a scenario: a coroutine function that takes the World."""

    def run(scenario: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
        async def whole() -> Any:
            async with running(World(tmp_path)) as world:
                return await scenario(world)

        return asyncio.run(whole())

    return run
