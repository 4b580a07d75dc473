# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said where a secret cannot be sealed, or acme-keyd does not start."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acmed.privd.accounts import creds, seal
from acmed.privd.handlers.accounts import Accounts
from acmed.privd.refusal import refusal
from tests.unit.privd.accountrig import CONTACT, AccountRig
from tests.unit.privd.rig import DIRECTORY

pytestmark = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")

GIVEN: dict[str, Any] = {"directory": DIRECTORY, "contact": CONTACT, "key_type": "ecdsa-p256", "ca_pem": None}
NOT_STARTED = "restart of acme-keyd.service: failed"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountRig:
    return AccountRig(tmp_path, monkeypatch)


def not_done_in_time(*_: object) -> creds.Outcome:
    raise TimeoutError


def bus_is_full(*_: object) -> creds.Outcome:
    raise OSError(24, "Too many open files")


def stopped(*_: object) -> creds.Outcome:
    return creds.Outcome(b"", "", "not done after 30 s")


@pytest.mark.parametrize("run", [not_done_in_time, bus_is_full, stopped])
def test_what_could_not_be_tried_is_not_called_broken(
    rig: AccountRig, monkeypatch: pytest.MonkeyPatch, run: Callable[..., creds.Outcome]
) -> None:
    """Nobody is told to move a good key away; nor is the next one waited for."""
    tried = []

    def counted(*arguments: object) -> creds.Outcome:
        tried.append(arguments)
        return run(*arguments)

    async def fails(_: Accounts, account: str) -> None:
        monkeypatch.setattr(creds, "run", counted)
        raise refusal("KeyUnavailable", account=account, reason=NOT_STARTED)

    rig.register("main")
    rig.register("other")
    monkeypatch.setattr(Accounts, "_restart_keyd", fails)
    assert rig.refused("new_account", **GIVEN).parameters["reason"] == NOT_STARTED
    assert len(tried) == 1


@pytest.mark.parametrize("directory", ["acmed.accounts", "acmed.dns"])
def test_no_other_key_is_made_for_the_host_where_it_lost_its_own(
    rig: AccountRig, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    """acme-credential-key.service makes none either: it would hide what is lost."""
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", "/dev/null/none")
    other = rig.places.credentials.with_name(directory) / "other"
    other.parent.mkdir(exist_ok=True)
    assert "Run: systemd-creds setup" in str(rig.refused("new_account", **GIVEN).parameters["reason"])
    other.with_name(".other").write_bytes(b"of somebody's editor")
    assert "Run: systemd-creds setup" in str(rig.refused("new_account", **GIVEN).parameters["reason"])
    other.write_bytes(b"sealed")
    reason = str(rig.refused("new_account", **GIVEN).parameters["reason"])
    assert "CLONES AND RESTORED HOSTS in acmed(8)" in reason
    assert "setup" not in reason


def test_the_manual_has_that_section() -> None:
    manual = Path(__file__).parents[3] / "man" / "acmed.8"
    assert ".SH CLONES AND RESTORED HOSTS" in manual.read_text().splitlines()


def test_what_is_sealed_under_another_name_is_broken(rig: AccountRig) -> None:
    rig.register("main")
    shutil.copy(rig.places.credentials / "main", rig.places.credentials / "other")
    (found,) = seal.unreadable(rig.places)
    assert found.startswith(f"{rig.places.credentials}/other (systemd-creds decrypt failed: exit status 1")
