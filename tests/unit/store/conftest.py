# SPDX-License-Identifier: LGPL-2.1-or-later
"""A store of files for each test, and somebody to answer."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.store.storerig import Somebody, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "account.pem")


@pytest.fixture
def somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Somebody:
    found = Somebody(tmp_path)
    found.install(monkeypatch)
    return found


@pytest.fixture
def own_path() -> Iterator[Path]:
    """A directory where nobody else could put a socket, as anybody could in /tmp."""
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix=".acmed-test-") as directory:
        yield Path(directory)
