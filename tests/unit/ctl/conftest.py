# SPDX-License-Identifier: LGPL-2.1-or-later
import time

import pytest


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
