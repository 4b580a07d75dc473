# SPDX-License-Identifier: LGPL-2.1-or-later
"""One far acme-keyd, and one user's home, for each test."""

from pathlib import Path

import pytest

from tests.unit.keyd.far.rig import Far, Home


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")
