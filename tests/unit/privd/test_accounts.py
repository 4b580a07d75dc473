# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts as acme-privd makes them, and what it writes about them."""

import asyncio
import json
import shutil
import socket
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from acmed import base64url
from acmed.config.model import AccountKeyType
from acmed.privd import permits
from acmed.privd.accounts import accountfile, seal
from acmed.privd.handlers.accounts import Accounts
from acmed.privd.refusal import refusal
from acmed.varlink import Call, VarlinkError
from tests.unit.privd.accountrig import CONTACT, URI, AccountRig
from tests.unit.privd.rig import DIRECTORY, NAME
from tests.unit.privd.test_files import full

pytestmark = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")

SECRET = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
BINDING = {"directory": DIRECTORY, "key_id": "kid-1", "hmac_key": SECRET, "algorithm": "HS256"}


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountRig:
    return AccountRig(tmp_path, monkeypatch)


def table(rig: AccountRig, account: str = "main") -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(rig.account_file(account))["account"][account]
    return found


def sign(rig: AccountRig, payload: Any, url: str) -> dict[str, Any]:
    body = base64url.encode(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return asyncio.run(rig.keyd().sign(Call(1, 2, 3), "main", url, "bm9uY2U", body))


def test_a_new_account_has_a_sealed_key_a_file_and_a_permit(rig: AccountRig) -> None:
    rig.add()
    assert rig.restarts == 1
    assert stat.S_IMODE((rig.places.credentials / "main").stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in (rig.places.credentials / "main").read_bytes()
    sign(rig, {"termsOfServiceAgreed": True, "contact": CONTACT}, f"{DIRECTORY}/new-account")
    rig.add()  # again, with the same key
    jwk = rig.credentials().keys["main"].jwk
    rig.call("set_account_uri", uri=URI)
    assert rig.credentials().keys["main"].jwk == jwk
    assert table(rig) == {"directory": DIRECTORY, "contact": CONTACT, "uri": URI}


ALGORITHMS = {
    "ecdsa-p256": "ES256",
    "ecdsa-p384": "ES384",
    "ecdsa-p521": "ES512",
    "rsa-2048": "RS256",
    "rsa-3072": "RS256",
    "rsa-4096": "RS256",
    "ed25519": "EdDSA",
}


@pytest.mark.slow
@pytest.mark.parametrize("key_type", AccountKeyType)
def test_acme_keyd_signs_with_each_type_of_key(rig: AccountRig, key_type: AccountKeyType) -> None:
    rig.add(key_type=key_type.value)
    key = rig.credentials().keys["main"]
    assert key.algorithm == ALGORITHMS[key_type]
    if key_type.startswith("rsa"):
        modulus = base64url.decode((key.jwk or {})["n"])
        assert f"rsa-{len(modulus) * 8}" == key_type


def test_a_certificate_has_no_key_of_the_others(rig: AccountRig) -> None:
    rig.add()
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nkey-type = "ed25519"\n')
    assert NAME in rig.places.configuration().broken
    error = rig.refused("new_account", directory=DIRECTORY, contact=CONTACT, key_type="rsa-1024", ca_pem=None)
    assert "ecdsa-p521" in str(error.parameters["message"])


def test_a_failed_seal_leaves_nothing(rig: AccountRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", "/dev/null/none")
    error = rig.refused(
        "new_account", directory=DIRECTORY, contact=CONTACT, key_type="ecdsa-p256", ca_pem=None, account="main"
    )
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    assert "systemd-creds" in str(error.parameters["reason"])
    assert not rig.places.account_file("main").exists()
    assert not list(rig.places.credentials.iterdir())


@pytest.mark.parametrize("bad", ["main", "other"])
def test_a_sealed_key_that_cannot_be_read_is_named(rig: AccountRig, monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    """PID 1 does not start acme-keyd for it, whichever account it is of."""
    rig.register("main")
    rig.register("other")
    path = rig.places.credentials / bad
    path.write_bytes(b"garbage")

    async def fails(_: Accounts, account: str) -> None:
        raise refusal("KeyUnavailable", account=account, reason="restart of acme-keyd.service: failed")

    monkeypatch.setattr(Accounts, "_restart_keyd", fails)
    given: dict[str, Any] = {"directory": DIRECTORY, "contact": CONTACT, "key_type": "ecdsa-p256", "ca_pem": None}
    error = rig.refused("new_account", **given)
    assert error.name == "org.acmed.Priv.KeyUnavailable"
    reason = str(error.parameters["reason"])
    assert str(path) in reason
    assert [str(one) in reason for one in rig.places.credentials.iterdir()].count(True) == 1
    path.unlink()
    assert rig.refused("new_account", **given).parameters["reason"] == "restart of acme-keyd.service: failed"


def test_acme_keyd_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "_TIMEOUT", 0.01)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "permit.sock"))
        silent.listen()
        with pytest.raises(VarlinkError) as caught:
            asyncio.run(permits.Permits(tmp_path / "permit.sock").read("main"))
    assert "does not answer (timeout)" in caught.value.parameters["reason"]


def test_a_full_disk_is_no_fault_of_the_key(rig: AccountRig) -> None:
    rig.register()
    before = rig.account_file()
    with full():
        error = rig.refused("set_contact", contact=["mailto:new@example.com"])
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert "account-main.toml" in str(error.parameters["message"])
    assert rig.account_file() == before


EDITED = f"""
# written by hand
[account.main]
directory = "{DIRECTORY}"
proxy = "http://proxy.example.com:3128"
authorize = ["a.example.com", "b.example.com"]
contact = ["old@example.com"]

[account.main.limits]
orders = "10/1h"

[account.main.deadlines]
finalize = 900
propagation = 20
"""


def test_what_root_added_to_the_file_survives_each_writing(rig: AccountRig) -> None:
    rig.configure("acmed.toml.d/account-main.toml", EDITED)
    before = rig.places.configuration().accounts["main"]
    rig.register()
    rig.call("set_contact", contact=["mailto:new@example.com"])
    after = rig.places.configuration().accounts["main"]
    assert (after.contact, after.uri) == (("mailto:new@example.com",), URI)
    for name in ("proxy", "authorize", "limits", "deadlines", "directory"):
        assert getattr(after, name) == getattr(before, name)
    assert table(rig)["deadlines"] == {"finalize": 900, "propagation": 20}


@pytest.mark.parametrize(
    "line", ["x = 1979-05-27", "x = 1.5", "x = [1, 2]", "x = [{y = 1}]", "[[account.main.x]]", "x = [['a']]"]
)
def test_what_cannot_be_written_again_is_refused_by_its_name(rig: AccountRig, line: str) -> None:
    rig.register()
    text = f"{rig.account_file()}\n{line}\n"
    rig.configure("acmed.toml.d/account-main.toml", text)
    with pytest.raises(VarlinkError) as caught:
        rig.add()
    assert "account-main.toml: x is neither" in str(caught.value.parameters["message"])
    assert rig.account_file() == text


def test_every_value_of_a_table_is_the_same_when_it_was_read_again(rig: AccountRig) -> None:
    values = {
        "directory": DIRECTORY,
        "quoted key": 'a "quoted\\ \n\x1b text ä',
        "flag": True,
        "number": -5,
        "list": ["a", 'b"', "c\\"],
        "empty": [],
        "inner.dotted": {"x": "y", "deeper": {"z": 1, "off": False}},
        "nothing": {},
    }
    path = rig.places.account_file("main")
    text = "\n".join(accountfile._tables(path, 'account."main"', values))
    assert tomllib.loads(text) == {"account": {"main": values}}


def test_a_file_with_more_in_it_is_not_ours(rig: AccountRig) -> None:
    rig.register()
    text = f"{rig.account_file()}\n[service.x]\nunits = []\n"
    rig.configure("acmed.toml.d/account-main.toml", text)
    calls: list[tuple[str, dict[str, Any]]] = [("set_contact", {"contact": CONTACT}), ("retire_account", {})]
    for method, parameters in calls:
        error = rig.refused(method, **parameters)
        assert "has more in it than [account.main]" in str(error.parameters["message"])
    assert rig.account_file() == text


def test_contacts_are_checked_and_written_where_they_count(rig: AccountRig) -> None:
    rig.register()
    for contact in (["admin@example.com"], ["mailto:a@b.example,c@d.example"], ["mailto:a@b\n.example"], CONTACT * 11):
        for method, more in (("set_contact", {}), ("permit_account", {"operation": "update"})):
            assert rig.refused(method, contact=contact, **more).name == "org.acmed.Priv.InvalidConfiguration"
    rig.call("set_contact", contact=[])
    assert rig.places.configuration().accounts["main"].contact == ()
    rig.configure("acmed.toml.d/zz.toml", '[account.main]\ncontact = ["root@example.com"]\n')
    error = rig.refused("permit_account", operation="update", contact=CONTACT)
    assert str(rig.places.etc / "acmed.toml.d" / "zz.toml") in str(error.parameters["message"])


OPERATIONS = {
    "read": b"",
    "update": {"contact": ["mailto:new@example.com"]},
    "deactivate": {"status": "deactivated"},
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_permit_is_for_its_operation(rig: AccountRig, operation: str) -> None:
    rig.register()
    rig.configure("certificates.d/www.example.com.toml", 'names = ["www.example.com"]\naccount = "other"\n')
    rig.configure("acmed.toml.d/other.toml", f'[account.other]\ndirectory = "{DIRECTORY}"\n')
    rig.call("permit_account", operation=operation, contact=["mailto:new@example.com"])
    assert [permit["kind"] for permit in rig.permits() if permit["kind"] != "newAccount"] == [operation]
    for other, payload in OPERATIONS.items():
        if other == operation:
            sign(rig, payload, URI)
        else:
            with pytest.raises(Exception, match="NotPermitted"):
                sign(rig, payload, URI)


def test_permits_are_for_accounts_that_the_ca_knows(rig: AccountRig) -> None:
    rig.add()
    assert rig.refused("permit_account", "nobody", operation="read", contact=[]).name.endswith("NoSuchAccount")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("permit_account", {"operation": "read", "contact": []}),
        ("new_account_key", {"key_type": "ecdsa-p256"}),
        ("permit_authorize", {"subject": "x", "identifiers": [{"type": "dns", "value": "a.example.com"}]}),
    ]
    for method, parameters in calls:
        assert "is not registered" in str(rig.refused(method, **parameters).parameters["message"])
    rig.call("set_account_uri", uri=URI)
    error = rig.refused("permit_account", operation="keyChange", contact=[])
    assert (error.name, error.parameters) == ("org.varlink.service.InvalidParameter", {"parameter": "operation"})


def test_authorizations_are_permitted_for_valid_identifiers(rig: AccountRig) -> None:
    rig.register()
    names = [{"type": "dns", "value": "a.example.com"}, {"type": "ip", "value": "2001:db8::1"}]
    rig.call("permit_authorize", subject="authorize-main", identifiers=names)
    sign(rig, {"identifiers": names}, f"{DIRECTORY}/new-order")
    for name in names:
        sign(rig, {"identifier": name}, f"{DIRECTORY}/new-authz")
    assert [permit["subject"] for permit in rig.permits() if permit["kind"] == "authorize"] == ["authorize-main"]


@pytest.mark.parametrize(
    "identifiers",
    [
        [],
        [{"type": "dns", "value": "a.example.com"}] * 101,
        [{"type": "dns", "value": "A.example.com"}],
        [{"type": "dns", "value": "a.example.com."}],
        [{"type": "dns", "value": "2001:db8::1"}],
        [{"type": "ip", "value": "2001:DB8::1"}],
        [{"type": "email", "value": "a@example.com"}],
        [{"type": "dns", "value": ""}],
    ],
)
def test_bad_identifiers_are_not_permitted(rig: AccountRig, identifiers: Any) -> None:
    rig.register()
    error = rig.refused("permit_authorize", subject="x", identifiers=identifiers)
    assert (error.name, error.parameters) == ("org.varlink.service.InvalidParameter", {"parameter": "identifiers"})
    assert rig.refused("permit_authorize", subject="../x", identifiers=[]).parameters == {"parameter": "subject"}


def test_a_binding_is_sealed_and_used_for_the_account(rig: AccountRig) -> None:
    rig.call("seal_binding", **BINDING)
    sealed = (rig.places.bindings / "main").read_bytes()
    assert SECRET.encode() not in sealed
    assert stat.S_IMODE((rig.places.bindings / "main").stat().st_mode) == 0o600
    assert not any(SECRET.encode() in path.read_bytes() for path in rig.directory.rglob("*") if path.is_file())
    rig.add()
    assert (table(rig)["eab-key-id"], table(rig)["eab-algorithm"]) == ("kid-1", "HS256")
    assert not rig.places.binding_note("main").exists()
    answer = sign(rig, {"termsOfServiceAgreed": True, "contact": CONTACT}, f"{DIRECTORY}/new-account")
    bound = json.loads(base64url.decode(answer["payload"]))["externalAccountBinding"]
    assert json.loads(base64url.decode(bound["protected"]))["kid"] == "kid-1"
    assert rig.credentials().bindings["main"] == base64url.decode(SECRET)


def test_a_binding_may_come_after_the_account_and_stays_when_it_is_made_again(rig: AccountRig) -> None:
    rig.add()
    rig.call("seal_binding", **BINDING)
    rig.add()
    rig.call("seal_binding", **(BINDING | {"key_id": "kid-2", "algorithm": "HS512", "hmac_key": f"{SECRET}=\n"}))
    rig.add()
    rig.add()
    assert (table(rig)["eab-key-id"], table(rig)["eab-algorithm"]) == ("kid-2", "HS512")


def test_a_binding_is_for_its_directory(rig: AccountRig) -> None:
    rig.call("seal_binding", "fresh", **BINDING)
    rig.add("fresh", directory="https://another.example/dir")
    assert "eab-key-id" not in table(rig, "fresh")
    rig.call("set_account_uri", "fresh", uri="https://another.example/acct/1")
    error = rig.refused("seal_binding", "fresh", **BINDING)
    assert "is there already, for https://another.example/dir" in str(error.parameters["message"])


def test_a_binding_does_not_take_the_place_of_another_cas(rig: AccountRig) -> None:
    """The account's table would have the one CA's key id, and the other one's HMAC key."""
    rig.call("seal_binding", "fresh", **BINDING)
    rig.add("fresh")
    sealed, other = (rig.places.bindings / "fresh").read_bytes(), {"directory": "https://another.example/dir"}
    error = rig.refused("seal_binding", "fresh", **(BINDING | other | {"key_id": "kid-2", "hmac_key": "A" * 43}))
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert f"has a binding at {DIRECTORY} already" in str(error.parameters["message"])
    assert "acmectl account deactivate fresh" in str(error.parameters["message"])
    rig.add("fresh")
    assert (rig.places.bindings / "fresh").read_bytes() == sealed
    assert table(rig, "fresh")["eab-key-id"] == "kid-1"
    rig.add("fresh", **other)  # without one
    assert "eab-key-id" not in table(rig, "fresh")


def test_a_note_is_never_about_another_key(rig: AccountRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash after the key was sealed, and before it was noted for which CA."""
    rig.add("fresh")
    rig.call("seal_binding", "fresh", **BINDING)
    sealing = seal.seal

    def dying(*arguments: Any) -> None:
        sealing(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(seal, "seal", dying)
        with pytest.raises(Killed):
            rig.call("seal_binding", "fresh", **(BINDING | {"directory": "https://another.example/dir"}))
    rig.add("fresh")
    assert "eab-key-id" not in table(rig, "fresh")


class Killed(BaseException):
    """The daemon ends here."""


def test_a_slip_in_the_directory_of_an_account_has_a_way_out(rig: AccountRig) -> None:
    wish: dict[str, Any] = {"contact": [], "key_type": "ecdsa-p256", "ca_pem": None}
    typo = "https://typo.example/dir"
    rig.call("seal_binding", "slip", **(BINDING | {"directory": typo}))
    rig.add("slip", directory=typo)
    assert table(rig, "slip")["eab-key-id"] == "kid-1"
    rig.configure("acmed.toml.d/account-slip.toml", rig.account_file("slip") + 'proxy = "http://proxy.example:3128"\n')
    key = (rig.places.credentials / "slip").read_bytes()
    rig.register("slip")
    # What was of the other CA is gone, and what root has written stays.
    assert table(rig, "slip") == {
        "directory": DIRECTORY, "contact": CONTACT, "proxy": "http://proxy.example:3128", "uri": URI,
    }  # fmt: skip
    assert (rig.places.credentials / "slip").read_bytes() == key
    refused = rig.refused("new_account", "slip", directory=typo, **wish)
    assert str(refused.parameters["message"]).endswith("take another name")


def test_a_directory_that_root_has_written_is_not_changed(rig: AccountRig) -> None:
    rig.configure("acmed.toml.d/zz.toml", '[account.slip]\ndirectory = "https://typo.example/dir"\n')
    wish: dict[str, Any] = {"contact": [], "key_type": "ecdsa-p256", "ca_pem": None}
    refused = rig.refused("new_account", "slip", directory=DIRECTORY, **wish)
    assert str(refused.parameters["message"]).endswith(f"or change it in {rig.places.etc}/acmed.toml.d/zz.toml")


@pytest.mark.parametrize(
    "bad",
    [
        {"hmac_key": "not/base64url+"},
        {"hmac_key": ""},
        {"hmac_key": "c2hvcnQ"},
        {"key_id": ""},
        {"key_id": "a b"},
        {"key_id": "x" * 256},
        {"key_id": 'a"\n[service.x]'},
        {"algorithm": "none"},
        {"algorithm": "HS1"},
        {"directory": "http://ca.example/dir"},
    ],
)
def test_a_bad_binding_is_refused_without_its_secret(
    rig: AccountRig, bad: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    error = rig.refused("seal_binding", **(BINDING | bad))
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    said = str(error.parameters) + capsys.readouterr().err
    assert SECRET not in said
    assert not bad.get("hmac_key") or bad["hmac_key"] not in said
    assert not list(rig.places.bindings.iterdir())


def test_a_damaged_note_is_left_out(rig: AccountRig) -> None:
    note = rig.places.binding_note("main")
    note.parent.mkdir()
    for text in ("", "[]", "{}", '{"directory": 1}', '"x"'):
        note.write_text(text)
        rig.add()
        assert "eab-key-id" not in table(rig)


def test_whose_answers_to_challenges_are_presented(rig: AccountRig) -> None:
    rig.register()
    names = [{"type": "dns", "value": "a.example.com"}]
    rig.keys = dict(rig.credentials().keys)
    answer = rig.call("permit_authorize", subject="authorize-main", identifiers=names)
    assert answer == {"thumbprint": rig.keys["main"].thumbprint}
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "main"\n')
    assert rig.request()["thumbprint"] == rig.keys["main"].thumbprint


def test_mistake_of_an_account_in_another_file_is_told(rig: AccountRig) -> None:
    """And where it is put right by what is given, there is nothing to tell."""
    other = rig.places.etc / "acmed.toml.d" / "z-other.toml"
    other.parent.mkdir(exist_ok=True)
    other.write_text("[account.second]\ncontcat = []\n")
    wish: dict[str, Any] = {"directory": DIRECTORY, "contact": CONTACT, "key_type": "ecdsa-p256", "ca_pem": None}
    refused = rig.refused("new_account", "second", **wish)
    assert refused.name == "org.acmed.Priv.InvalidConfiguration"
    assert refused.parameters["message"].startswith(f"{other}:2: unknown key 'contcat' in [account.second]")
    assert not rig.places.account_file("second").exists()
    other.write_text('[account.second]\nauthorize = ["www.example.com"]\n')
    assert "second" not in rig.places.configuration().accounts
    rig.add("second")
    assert rig.places.configuration().accounts["second"].directory == DIRECTORY
