# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts whose configuration says where their key is: acme-privd makes none, and leaves root's words alone."""

import shutil
from pathlib import Path

import pytest

from tests.unit.privd.accountrig import CONTACT, URI, AccountRig
from tests.unit.privd.rig import CA, DIRECTORY, NAME
from tests.unit.verify.issuing import chain

pytestmark = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")

KEY = 'key = "gpg:/etc/acmed/account.gpg"\n'


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountRig:
    rig = AccountRig(tmp_path, monkeypatch)
    rig.configure("acmed.toml", f'[account.main]\ndirectory = "{DIRECTORY}"\ncontact = ["admin@example.com"]\n{KEY}')
    return rig


def test_no_key_is_made_and_nothing_is_written_that_root_says(rig: AccountRig) -> None:
    rig.add(directory=None)
    rig.add()
    assert not list(rig.places.credentials.iterdir())
    assert not rig.places.account_file("main").exists()
    assert [(one["kind"], one["contact"]) for one in rig.permits()] == [("newAccount", CONTACT)]
    assert rig.restarts == 2
    rig.call("set_account_uri", uri=URI)
    rig.add()
    assert rig.account_file().endswith(f'\n[account."main"]\nuri = "{URI}"\n')
    account = rig.places.configuration().accounts["main"]
    assert (account.uri, account.contact, str(account.key)) == (URI, tuple(CONTACT), "gpg:/etc/acmed/account.gpg")


def test_what_is_new_is_written(rig: AccountRig) -> None:
    rig.add(directory=None, contact=["mailto:other@example.com"], ca_pem=chain(CA.certificate))
    account = rig.places.configuration().accounts["main"]
    assert (account.contact, account.ca_file) == (("mailto:other@example.com",), rig.places.ca_file("main"))
    assert "directory" not in rig.account_file()
    rig.add(directory=None, contact=CONTACT)
    assert rig.places.configuration().accounts["main"].ca_file == rig.places.ca_file("main")


def test_a_ca_file_of_roots_stays(rig: AccountRig) -> None:
    path = rig.places.ca_file("main")
    path.parent.mkdir()
    path.write_text(chain(CA.certificate))
    text = (rig.places.etc / "acmed.toml").read_text()
    rig.configure("acmed.toml", f'{text}ca-file = "{path}"\n')
    rig.add()
    assert path.exists()


def test_it_may_be_in_the_accounts_own_file(rig: AccountRig) -> None:
    rig.configure("acmed.toml", "")
    rig.configure("acmed.toml.d/account-main.toml", f'[account.main]\ndirectory = "{DIRECTORY}"\n{KEY}')
    rig.add()
    rig.call("set_account_uri", uri=URI)
    rig.call("set_contact", contact=[])
    account = rig.places.configuration().accounts["main"]
    assert (account.uri, account.contact, str(account.key)) == (URI, (), "gpg:/etc/acmed/account.gpg")
    assert not list(rig.places.credentials.iterdir())


def test_its_key_is_not_ours_to_change(rig: AccountRig) -> None:
    rig.add()
    rig.call("set_account_uri", uri=URI)
    error = rig.refused("new_account_key", key_type="ecdsa-p256")
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert "gpg:/etc/acmed/account.gpg" in str(error.parameters["message"])
    assert not list(rig.places.next_credentials.iterdir())


def test_its_end(rig: AccountRig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "other"\n')
    rig.add()
    rig.call("set_account_uri", uri=URI)
    rig.call("permit_account", operation="deactivate", contact=[])
    rig.call("retire_account")
    assert [path.name for path in rig.archived()] == ["account.toml"]
    assert rig.places.configuration().accounts["main"].uri is None


def test_what_is_not_configured_has_no_directory(rig: AccountRig) -> None:
    error = rig.refused("new_account", "nobody", directory=None, contact=[], key_type="ecdsa-p256", ca_pem=None)
    assert error.name == "org.acmed.Priv.NoSuchAccount"
    assert not list(rig.places.credentials.iterdir())


def test_a_configured_ca_file_of_ours_is_kept_with_the_directory(rig: AccountRig) -> None:
    rig.add("fresh", ca_pem=chain(CA.certificate))
    rig.add("fresh", directory=None)
    assert rig.places.configuration().accounts["fresh"].ca_file == rig.places.ca_file("fresh")
    rig.add("fresh")
    assert rig.places.configuration().accounts["fresh"].ca_file is None
    assert not rig.places.ca_file("fresh").exists()
