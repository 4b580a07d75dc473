# SPDX-License-Identifier: LGPL-2.1-or-later
"""One rig for each test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.privd.rig import Rig


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o077)  # as the unit has it
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def host_key() -> Iterator[Path]:
    """systemd-creds makes it when it is first wanted; it refuses to in a file system that is lost, as /tmp may be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="acmed-test-") as directory:
        yield Path(directory) / "secret"


@pytest.fixture(autouse=True)
def own_host_key(host_key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(host_key))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)
