# SPDX-License-Identifier: LGPL-2.1-or-later
"""One rig for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.privd.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    before = os.umask(0o077)  # as the unit has it
    yield Rig(tmp_path)
    os.umask(before)
