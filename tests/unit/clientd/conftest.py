# SPDX-License-Identifier: LGPL-2.1-or-later
"""What these tests have in common."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.unit.clientd.https import make_certificate
from tests.unit.clientd.rig import Rig, running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the CA's web server, which is its own issuer."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1")


Play = Callable[..., Any]


@pytest.fixture
def play(tmp_path: Path, certificate: Path) -> Play:
    """Runs a scenario: a coroutine function that takes the Rig. Further arguments are those of rig.running()."""

    def run(scenario: Callable[[Rig], Coroutine[Any, Any, Any]], **options: Any) -> Any:
        async def whole() -> Any:
            async with running(tmp_path, certificate, **options) as rig:
                return await scenario(rig)

        return asyncio.run(whole())

    return run
