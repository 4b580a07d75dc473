# SPDX-License-Identifier: LGPL-2.1-or-later
"""One rig for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.privd.rig import Rig


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o077)  # as the unit has it
    yield
    os.umask(before)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)
