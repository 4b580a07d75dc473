# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from acmed.config import sandbox


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """What acme-privd.service may do on the machine that runs the tests does not matter."""
    monkeypatch.setattr(sandbox, "_ask_systemd", lambda: None)
