# SPDX-License-Identifier: LGPL-2.1-or-later
"""A new key for an account, whatever crashes in between, and the account's end."""

import asyncio
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acmed import base64url
from acmed.privd import files
from acmed.privd.accounts import rollover, seal
from acmed.varlink import Call
from tests.unit.privd.accountrig import URI, AccountRig
from tests.unit.privd.rig import DIRECTORY, NAME

pytestmark = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")

OTHER = f'[account.other]\ndirectory = "{DIRECTORY}"\n'


class Killed(BaseException):
    """The daemon ends here."""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountRig:
    rig = AccountRig(tmp_path, monkeypatch)
    rig.register()
    return rig


def new_key(rig: AccountRig, key_type: str = "ecdsa-p384") -> str:
    """The type of the key that is to follow then."""
    return str(rig.call("new_account_key", key_type=key_type)["keyType"])


def test_a_new_key_is_made_once_and_permitted(rig: AccountRig) -> None:
    old, restarts = rig.credentials().keys["main"].jwk, rig.restarts
    assert new_key(rig) == "ecdsa-p384"
    following = rig.credentials().next_keys["main"]
    assert (following.algorithm, rig.restarts) == ("ES384", restarts + 1)
    # After a crash: the CA may have the first one already.
    assert new_key(rig, "rsa-2048") == "ecdsa-p384"
    assert rig.credentials().next_keys["main"].jwk == following.jwk
    assert rig.credentials().keys["main"].jwk == old
    answer = asyncio.run(rig.keyd().sign_key_change(Call(1, 2, 3), "main", f"{DIRECTORY}/key-change", "bm9uY2U"))
    inner = json.loads(base64url.decode(answer["payload"]))
    assert json.loads(base64url.decode(inner["protected"]))["jwk"] == following.jwk
    assert json.loads(base64url.decode(inner["payload"])) == {"account": URI, "oldKey": old}


def test_the_next_key_takes_the_old_ones_place(rig: AccountRig) -> None:
    old = (rig.places.credentials / "main").read_bytes()
    new_key(rig)
    following, restarts = rig.credentials().next_keys["main"].jwk, rig.restarts
    assert rig.call("adopt_account_key") == {"keyType": "ecdsa-p384"}
    assert rig.restarts == restarts + 1
    found = rig.credentials()
    assert (found.keys["main"].jwk, dict(found.next_keys)) == (following, {})
    assert [path.read_bytes() for path in rig.archived()] == [old]
    assert rig.call("adopt_account_key") == {"keyType": "ecdsa-p384"}  # again
    assert rig.credentials().keys["main"].jwk == following
    assert rig.restarts == restarts + 2
    new_key(rig)
    rig.call("adopt_account_key")
    assert rig.credentials().keys["main"].jwk != following
    assert len(rig.archived()) == 2


def kill(patch: pytest.MonkeyPatch, module: Any, name: str, after: Callable[..., Any] | None = None) -> None:
    """The daemon ends when it calls that, or when that was done."""

    def die(*arguments: Any, **more: Any) -> None:
        if after:
            after(*arguments, **more)
        raise Killed

    patch.setattr(module, name, die)


@pytest.mark.parametrize("step", ["before the old key is kept", "before the seal", "after the seal", "before removal"])
def test_adoption_goes_on_after_a_crash_at_each_step(
    rig: AccountRig, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old = (rig.places.credentials / "main").read_bytes()
    new_key(rig)
    following = rig.credentials().next_keys["main"].jwk
    with monkeypatch.context() as patch:
        match step:
            case "before the old key is kept":
                kill(patch, rollover, "_archive")
            case "before the seal":
                kill(patch, seal, "seal")
            case "after the seal":
                kill(patch, seal, "seal", seal.seal)
            case _:
                kill(patch, files, "remove")
        with pytest.raises(Killed):
            rig.call("adopt_account_key")
    rig.call("adopt_account_key")
    found = rig.credentials()
    assert (found.keys["main"].jwk, dict(found.next_keys)) == (following, {})
    assert old in [path.read_bytes() for path in rig.archived()]


def test_a_key_that_was_adopted_all_but_the_end_does_not_follow_itself(
    rig: AccountRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(rig)
    with monkeypatch.context() as patch:
        kill(patch, files, "remove")
        with pytest.raises(Killed):
            rig.call("adopt_account_key")
    new_key(rig)
    found = rig.credentials()
    assert found.next_keys["main"].jwk != found.keys["main"].jwk


def test_a_next_key_that_the_ca_refused_makes_way(rig: AccountRig) -> None:
    """And is kept in the archive: what acme-clientd says of the CA may be wrong."""
    old, path = rig.credentials().keys["main"].jwk, rig.places.next_credentials / "main"
    new_key(rig)
    sealed, restarts = path.read_bytes(), rig.restarts
    assert rig.call("drop_account_key") == {}
    assert (path.exists(), rig.restarts) == (False, restarts + 1)
    assert [(path.name, path.read_bytes()) for path in rig.archived()] == [("acmed.next-accounts", sealed)]
    rig.call("drop_account_key")  # again
    assert len(rig.archived()) == 1
    assert new_key(rig, "rsa-2048") == "rsa-2048"
    found = rig.credentials()
    assert (found.next_keys["main"].algorithm, found.keys["main"].jwk) == ("RS256", old)
    assert rig.call("adopt_account_key") == {"keyType": "rsa-2048"}


@pytest.mark.parametrize("name", ["create", "remove"])
def test_dropping_goes_on_after_a_crash(rig: AccountRig, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    new_key(rig)
    sealed = (rig.places.next_credentials / "main").read_bytes()
    with monkeypatch.context() as patch:
        kill(patch, files, name)
        with pytest.raises(Killed):
            rig.call("drop_account_key")
    assert (rig.places.next_credentials / "main").exists()
    rig.call("drop_account_key")
    assert dict(rig.credentials().next_keys) == {}
    assert {path.read_bytes() for path in rig.archived()} == {sealed}


def test_a_key_of_a_type_that_is_not_made_here_has_its_name_told(rig: AccountRig) -> None:
    """An account may have brought it along."""
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    seal.seal(seal.ACCOUNT, "main", pem, rig.places.credentials / "main")
    assert rig.call("adopt_account_key") == {"keyType": "ed25519"}


def test_a_next_key_that_cannot_be_unsealed_changes_nothing(rig: AccountRig) -> None:
    old = (rig.places.credentials / "main").read_bytes()
    shutil.copy(rig.places.credentials / "main", rig.places.next_credentials / "main")  # sealed under another name
    error = rig.refused("adopt_account_key")
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    assert (rig.places.credentials / "main").read_bytes() == old
    assert (rig.places.next_credentials / "main").exists()


def test_an_old_key_that_is_gone_does_not_keep_the_next_one(rig: AccountRig) -> None:
    new_key(rig)
    following = rig.credentials().next_keys["main"].jwk
    (rig.places.credentials / "main").unlink()
    assert rig.call("adopt_account_key") == {"keyType": "ecdsa-p384"}
    assert (rig.credentials().keys["main"].jwk, rig.archived()) == (following, [])


def test_keys_that_vanish_while_they_are_adopted(rig: AccountRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's hand: the next key is where it belongs all the same."""
    new_key(rig)
    following, archive = rig.credentials().next_keys["main"].jwk, rollover._archive

    def vanish(*arguments: Any) -> None:
        for directory in (rig.places.credentials, rig.places.next_credentials):
            (directory / "main").unlink()
        archive(*arguments)

    monkeypatch.setattr(rollover, "_archive", vanish)
    assert rig.call("adopt_account_key") == {"keyType": "ecdsa-p384"}
    assert rig.credentials().keys["main"].jwk == following


def test_a_next_key_that_is_gone_was_not_adopted(rig: AccountRig) -> None:
    """The CA may know no other by now."""
    old, path = (rig.places.credentials / "main").read_bytes(), rig.places.next_credentials / "main"
    new_key(rig, "ecdsa-p256")
    following, sealed = rig.credentials().next_keys["main"].jwk, path.read_bytes()
    path.unlink()
    error = rig.refused("adopt_account_key")
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    assert f"{path}, is gone" in error.parameters["reason"]
    assert (rig.places.credentials / "main").read_bytes() == old
    path.write_bytes(sealed)
    for _ in range(2):
        assert rig.call("adopt_account_key") == {"keyType": "ecdsa-p256"}
    assert rig.credentials().keys["main"].jwk == following
    new_key(rig)
    path.unlink()
    new_key(rig, "rsa-2048")  # another change instead
    assert rig.call("adopt_account_key") == {"keyType": "rsa-2048"}


def test_no_key_at_all(rig: AccountRig) -> None:
    path = rig.places.credentials / "main"
    path.unlink()
    error = rig.refused("adopt_account_key")
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    assert error.parameters == {"account": "main", "reason": f"{path}: No such file or directory"}


def test_a_key_type_is_one_of_the_configurations(rig: AccountRig) -> None:
    assert "rsa-1024" in str(rig.refused("new_account_key", key_type="rsa-1024").parameters["message"])
    assert not list(rig.places.next_credentials.iterdir())


def test_an_account_that_is_used_is_not_retired(rig: AccountRig) -> None:
    rig.configure("acmed.toml.d/other.toml", OTHER)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "main"\n')
    rig.configure("certificates.d/two.toml", 'names = ["b.example.com"]\naccount = "other"\nfailover = ["main"]\n')
    rig.configure("certificates.d/broken.toml", 'names = []\naccount = "main"\n')
    rig.configure("certificates.d/free.toml", 'names = ["c.example.com"]\naccount = "other"\n')
    calls: list[tuple[str, dict[str, Any]]] = [
        ("permit_account", {"operation": "deactivate", "contact": []}),
        ("retire_account", {}),
    ]
    for method, parameters in calls:
        error = rig.refused(method, **parameters)
        assert error.name == "org.acmed.Priv.InvalidConfiguration"
        users = f"used by certificate broken, certificate two, certificate {NAME};"
        assert users in str(error.parameters["message"])
    assert rig.places.account_file("main").exists()
    for name in (NAME, "two", "broken"):
        rig.places.certificate_file(name).unlink()
    rig.configure("acmed.toml.d/defaults.toml", '[defaults]\naccount = "main"\n')
    assert "used by [defaults];" in str(rig.refused("retire_account").parameters["message"])


@pytest.fixture
def unused(rig: AccountRig) -> AccountRig:
    """No certificate goes to the account; it is only in its own file."""
    rig.configure("acmed.toml", OTHER)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "other"\n')
    binding = {"directory": DIRECTORY, "key_id": "k", "hmac_key": "A" * 43, "algorithm": "HS256"}
    rig.call("seal_binding", **binding)
    rig.add()
    rig.call("seal_binding", **binding)
    new_key(rig)
    return rig


def test_retirement_moves_everything_to_the_archive(unused: AccountRig) -> None:
    restarts = unused.restarts
    text = unused.account_file()
    keys = [path.read_bytes() for path in kept(unused)]
    unused.call("retire_account")
    assert unused.restarts == restarts + 1
    assert "main" not in unused.places.configuration().accounts
    assert not any(path.exists() for path in kept(unused))
    assert not unused.places.binding_note("main").exists()
    names = ["account.toml", "acmed.accounts", "acmed.bindings", "acmed.next-accounts"]
    assert [path.name for path in unused.archived()] == names
    by_name = {path.name: path.read_bytes() for path in unused.archived()}
    assert by_name["account.toml"].decode() == text
    assert [by_name[path.parent.name] for path in kept(unused)] == keys
    (directory,) = unused.places.retired_accounts().iterdir()
    assert directory.name.startswith("main-2")
    for path in (directory, directory.parent, directory.parent.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in unused.archived()} == {0o600}


def kept(rig: AccountRig) -> list[Path]:
    return [path / "main" for path in (rig.places.credentials, rig.places.next_credentials, rig.places.bindings)]


def test_retirement_may_be_repeated_and_the_name_used_again(unused: AccountRig) -> None:
    unused.call("retire_account")
    before = unused.archived()
    unused.call("retire_account")
    assert unused.archived() == before
    unused.register(uri="https://ca.example/acct/2")
    assert dict(unused.credentials().next_keys) == {}
    unused.call("retire_account")
    assert len(unused.archived()) == len(before) + 2


@pytest.mark.parametrize("removed", range(4))
def test_retirement_goes_on_after_a_crash(unused: AccountRig, monkeypatch: pytest.MonkeyPatch, removed: int) -> None:
    whole = [path.read_bytes() for path in kept(unused)]
    count = 0

    def dying(path: Path) -> None:
        nonlocal count
        if count == removed:
            raise Killed
        count += 1
        path.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", dying)
        with pytest.raises(Killed):
            unused.call("retire_account")
    unused.call("retire_account")
    assert not any(path.exists() for path in kept(unused))
    assert "main" not in unused.places.configuration().accounts
    archived = [path.read_bytes() for path in unused.archived()]
    assert all(content in archived for content in whole)


def test_an_account_in_roots_own_file_stays_there(unused: AccountRig, capsys: pytest.CaptureFixture[str]) -> None:
    unused.configure("acmed.toml.d/mine.toml", f'[account.main]\ndirectory = "{DIRECTORY}"\n')
    unused.call("retire_account")
    assert unused.places.configuration().accounts["main"].uri is None
    assert "remove it there" in capsys.readouterr().err


def test_an_account_that_was_never_registered_goes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when nobody agreed to the CA's terms: certificates that name no account would go to the only one there is."""
    rig = AccountRig(tmp_path, monkeypatch)
    (rig.places.etc / "acmed.toml").unlink()
    rig.add("fresh")
    assert rig.places.configuration().certificates[NAME].account == "fresh"
    rig.call("retire_account", "fresh")
    assert not rig.places.configuration().accounts
    assert [path.name for path in rig.archived()] == ["account.toml", "acmed.accounts"]


@pytest.mark.parametrize("path", ["certificates.d/mine.toml", "certificates.d/broken.toml", "acmed.toml.d/mine.toml"])
def test_an_account_that_was_never_registered_stays_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """acmed says what it was for: root's own files would be broken without it."""
    rig = AccountRig(tmp_path, monkeypatch)
    rig.add("fresh")
    names = {"broken": "names = []\n", "mine": 'names = ["a.example.com"]\n'}[Path(path).stem]
    rig.configure(path, (names if "certificates.d" in path else "[defaults]\n") + 'account = "fresh"\n')
    assert "'fresh' is used by" in str(rig.refused("retire_account", "fresh").parameters["message"])
    assert rig.places.account_file("fresh").exists()


def test_an_account_that_is_broken_elsewhere_stays_where_it_is_named(rig: AccountRig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "main"\n')
    rig.configure("acmed.toml.d/z-other.toml", "[account.main]\ncontcat = []\n")
    assert "main" not in rig.places.configuration().accounts
    assert f"used by certificate {NAME};" in str(rig.refused("retire_account").parameters["message"])
    assert rig.places.account_file("main").exists()
    assert (rig.places.credentials / "main").exists()
