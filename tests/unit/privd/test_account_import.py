# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys that accounts bring along."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmed import privatejwk
from tests.unit.privd.accountrig import CONTACT, URI, AccountRig
from tests.unit.privd.rig import DIRECTORY
from tests.unit.rsakeys import rsa_key

pytestmark = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")

KEY = ec.generate_private_key(ec.SECP256R1())
JWK = privatejwk.encode(KEY)
SECRET = json.loads(JWK)["d"]
OTHER = privatejwk.encode(rsa_key(2048))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountRig:
    return AccountRig(tmp_path, monkeypatch)


def bring(rig: AccountRig, account: str = "moved", key: str = JWK) -> None:
    rig.call("import_account_key", account, directory=DIRECTORY, key=key)


def test_it_becomes_the_accounts_key(rig: AccountRig) -> None:
    bring(rig)
    assert rig.restarts == 0, "nobody knows the account yet"
    rig.add("moved", key_type=None)
    rig.call("set_account_uri", "moved", uri=URI)
    jwk = rig.credentials().keys["moved"].jwk
    assert jwk.items() <= json.loads(JWK).items()
    account = rig.places.configuration().accounts["moved"]
    assert (account.uri, account.contact) == (URI, tuple(CONTACT))
    assert not any(SECRET.encode() in path.read_bytes() for path in rig.directory.rglob("*") if path.is_file())


def test_the_same_again_is_well_and_another_is_refused(rig: AccountRig) -> None:
    bring(rig)
    sealed = (rig.places.credentials / "moved").read_bytes()
    bring(rig)
    error = rig.refused("import_account_key", "moved", directory=DIRECTORY, key=OTHER)
    assert (error.name, error.parameters) == ("org.acmed.Priv.AccountExists", {"account": "moved"})
    assert (rig.places.credentials / "moved").read_bytes() == sealed
    rig.add("made")
    assert (
        rig.refused("import_account_key", "made", directory=DIRECTORY, key=JWK).name == "org.acmed.Priv.AccountExists"
    )


def test_a_key_that_cannot_be_unsealed_is_not_overwritten(rig: AccountRig) -> None:
    (rig.places.credentials / "moved").write_text("damaged")
    error = rig.refused("import_account_key", "moved", directory=DIRECTORY, key=JWK)
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    assert (rig.places.credentials / "moved").read_text() == "damaged"


@pytest.mark.parametrize("key", ["", "{}", JWK.replace('"d"', '"D"'), JWK.replace(SECRET, SECRET[:-4]), f"{JWK} x"])
def test_what_is_no_key_is_refused(rig: AccountRig, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = rig.refused("import_account_key", "moved", directory=DIRECTORY, key=key)
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert SECRET[:-4] not in str(error.parameters) + capsys.readouterr().err
    assert not list(rig.places.credentials.iterdir())


def test_it_is_not_for_an_account_of_another_ca_or_one_whose_key_is_roots(rig: AccountRig) -> None:
    rig.configure("acmed.toml", f'[account.main]\ndirectory = "{DIRECTORY}"\nkey = "file:/etc/acmed/key.pem"\n')
    error = rig.refused("import_account_key", directory=DIRECTORY, key=JWK)
    assert "file:/etc/acmed/key.pem" in str(error.parameters["message"])
    rig.configure("acmed.toml", '[account.main]\ndirectory = "https://other.example/"\n')
    error = rig.refused("import_account_key", directory=DIRECTORY, key=JWK)
    assert "https://other.example/" in str(error.parameters["message"])
    assert not list(rig.places.credentials.iterdir())


def test_without_it_no_account_is_made(rig: AccountRig) -> None:
    error = rig.refused("new_account", "moved", directory=DIRECTORY, contact=CONTACT, key_type=None, ca_pem=None)
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    assert not rig.places.account_file("moved").exists()
