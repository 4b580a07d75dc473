# SPDX-License-Identifier: LGPL-2.1-or-later
"""One acme-keyd for each test."""

from pathlib import Path

import pytest

from tests.unit.keyd.rig import Keyd


@pytest.fixture
def keyd(tmp_path: Path) -> Keyd:
    return Keyd(tmp_path)
