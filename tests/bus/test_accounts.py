# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts: made, changed, given another key, ended."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import ACCOUNT, NOBODY, ROOT, Rig, rig

_PATH = "/org/acmed1/account/second"
_DIRECTORY = "https://ca.example/directory"
_GOOD = {"directory": Variant("s", _DIRECTORY), "agree-tos": Variant("b", True)}
_SECRET = "c2VjcmV0LW9mLXRoZS1DQQ"


def _acme(kind: str, detail: str, status: int = 403) -> VarlinkError:
    return VarlinkError(
        "org.acmed.Client.Acme", type=kind, detail=detail, status=status, retryAfter=None, final=True, subproblems=[]
    )


def _limited(kind: str, status: int, **more: Any) -> VarlinkError:
    error = _acme(kind, "later", status)
    return VarlinkError(error.name, **error.parameters | {"retryAfter": 3600} | more)


async def _add(it: Rig, name: str = "second", **options: Variant) -> int:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    number, _ = await it.caller.manager("AddAccount", "sa{sv}", name, given)
    return int(number)


async def _change(it: Rig, method: str, **options: Variant) -> int:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    number, _ = await it.caller.call(_PATH, ACCOUNT, method, "a{sv}", given)
    return int(number)


def _errors(it: Rig, number: int) -> list[Any]:
    return [
        signal.body[1]["Error"].value
        for signal in it.caller.signals
        if signal.path == f"{ROOT}/job/_{number}" and signal.member == "PropertiesChanged" and "Error" in signal.body[1]
    ]


def _configure(it: Rig) -> None:
    it.privd.configure_account("second", _DIRECTORY, "https://ca.example/account/2")


def test_new_account(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.terms = "https://ca.example/terms"
            number = await _add(it, **_GOOD, contact=Variant("as", ["admin@example.com", "mailto:admin@example.com"]))
            assert await it.caller.result(number) == "done"
            (made,) = it.privd.given("NewAccount")
            assert (made["contact"], made["key_type"], made["ca_pem"]) == (
                ["mailto:admin@example.com"],
                "ecdsa-p256",
                None,
            )
            values = await it.caller.properties(_PATH, ACCOUNT)
            assert values["URI"] == "https://ca.example/account/1"
            assert (values["Status"], values["TermsOfService"]) == ("valid", "https://ca.example/terms")

    asyncio.run(run())


def test_account_that_the_ca_refuses(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Register"] = _acme("invalidContact", "no such domain")
            number = await _add(it, **_GOOD)
            assert await it.caller.result(number) == "failed"
            ((name, message),) = _errors(it, number)
            assert name == "org.acmed1.AcmeError.invalidContact"
            assert message.startswith("no such domain")

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["badSignatureAlgorithm", "badPublicKey"])
def test_a_key_that_the_ca_does_not_take_makes_way_for_another(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Register"] = _acme(kind, "no such keys")
            number = await _add(it, **_GOOD, key_type=Variant("s", "ed25519"))
            assert await it.caller.result(number) == "failed"
            ((name, message),) = _errors(it, number)
            assert name == f"org.acmed1.AcmeError.{kind}"
            assert message.startswith("no such keys")
            assert "take another --key-type" in message
            assert it.privd.called == ["NewAccount", "RetireAccount"]
            with pytest.raises(DBusError):
                await it.caller.properties(_PATH, ACCOUNT)
            del it.clientd.errors["Register"]
            number = await _add(it, **_GOOD, key_type=Variant("s", "ecdsa-p521"))
            assert await it.caller.result(number) == "done"
            assert [given["key_type"] for given in it.privd.given("NewAccount")] == ["ed25519", "ecdsa-p521"]

    asyncio.run(run())


def test_a_key_that_was_there_and_that_the_ca_does_not_take_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("second", _DIRECTORY)
            it.clientd.errors["Register"] = _acme("badSignatureAlgorithm", "no such keys")
            number = await _add(it, **_GOOD)
            assert await it.caller.result(number) == "failed"
            ((_, message),) = _errors(it, number)
            assert "move /etc/credstore.encrypted/acmed.accounts/second away first" in message
            assert "RetireAccount" not in it.privd.called

    asyncio.run(run())


@pytest.mark.parametrize("key_type", ["ecdsa-p224", "rsa-1024", "imported", ""])
def test_a_key_of_no_type(tmp_path: Path, key_type: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            with pytest.raises(DBusError, match="ecdsa-p521.*ed25519"):
                await _add(it, **_GOOD, key_type=Variant("s", key_type))

    asyncio.run(run())


def test_terms_that_nobody_agreed_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.terms = "https://ca.example/terms"
            number = await _add(it, directory=Variant("s", _DIRECTORY))
            assert await it.caller.result(number) == "failed"
            ((name, message),) = _errors(it, number)
            assert name == "org.acmed1.Error.TermsNotAgreed"
            assert "https://ca.example/terms" in message
            assert "Register" not in it.clientd.called
            # Nothing is left of it.
            assert it.privd.called == ["NewAccount", "RetireAccount"]
            with pytest.raises(DBusError):
                await it.caller.properties(_PATH, ACCOUNT)

    asyncio.run(run())


def test_account_that_was_there_stays_whatever_is_agreed_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.terms = "https://ca.example/terms"
            _configure(it)
            number = await _add(it, directory=Variant("s", _DIRECTORY), agree_tos=Variant("b", False))
            assert await it.caller.result(number) == "failed"
            assert [name for name, _ in _errors(it, number)] == ["org.acmed1.Error.TermsNotAgreed"]
            assert "RetireAccount" not in it.privd.called
            assert (await it.caller.properties(_PATH, ACCOUNT))["URI"] == "https://ca.example/account/2"

    asyncio.run(run())


def test_ca_without_terms(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.result(await _add(it, directory=Variant("s", _DIRECTORY))) == "done"

    asyncio.run(run())


def test_secret_of_a_binding_goes_to_privd_and_nowhere_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            log = "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1"
            level = Variant("s", "debug")
            await it.caller.call(log[0], "org.freedesktop.DBus.Properties", "Set", "ssv", log[1], "LogLevel", level)
            gate = it.privd.gate("NewAccount")
            number = await _add(
                it, **_GOOD, eab_key_id=Variant("s", "kid-1"), eab_hmac=Variant("s", _SECRET),
                eab_algorithm=Variant("s", "HS384"),
            )  # fmt: skip
            (sealed,) = it.privd.given("SealBinding")
            assert sealed == {
                "job": number,
                "account": "second",
                "directory": _DIRECTORY,
                "key_id": "kid-1",
                "hmac_key": _SECRET,
                "algorithm": "HS384",
            }
            await it.privd.reached["NewAccount"].wait()
            kept = [path.read_text() for path in it.places.state.rglob("*") if path.is_file()]
            assert any('"second"' in content for content in kept)
            assert not any(_SECRET in content for content in kept)
            values = await it.caller.properties(f"{ROOT}/job/_{number}", "org.acmed1.Job")
            assert _SECRET not in str(values)
            gate.set()
            assert await it.caller.result(number) == "done"
            assert it.privd.called[:2] == ["SealBinding", "NewAccount"]
            assert not any(_SECRET in str(signal) for signal in it.caller.signals)
            await it.caller.call(
                log[0], "org.freedesktop.DBus.Properties", "Set", "ssv", log[1], "LogLevel", Variant("s", "info")
            )

    asyncio.run(run())
    assert _SECRET not in "".join(capfd.readouterr())


def test_binding_that_cannot_be_sealed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.errors["SealBinding"] = VarlinkError(
                "org.acmed.Priv.KeyUnavailable", account="second", reason="no TPM"
            )
            with pytest.raises(DBusError) as refused:
                await _add(it, **_GOOD, eab_key_id=Variant("s", "kid-1"), eab_hmac=Variant("s", _SECRET))
            assert refused.value.name == "org.acmed1.Error.KeyUnavailable"
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


def test_contacts(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            number = await _change(it, "Update", contact=Variant("as", ["new@example.com"]))
            assert await it.caller.result(number) == "done"
            contact = ["mailto:new@example.com"]
            permits = [(given["operation"], given["contact"]) for given in it.privd.given("PermitAccount")]
            assert permits == [("update", contact), ("read", [])]
            assert [given["contact"] for given in it.clientd.given("UpdateAccount")] == [contact]
            values = await it.caller.properties(_PATH, ACCOUNT)
            assert (values["Contact"], values["Status"]) == (contact, "valid")

    asyncio.run(run())


def test_contacts_are_changed_although_the_ca_does_not_tell(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.errors["ReadAccount"] = _acme("serverInternal", "no", 500)
            number = await _change(it, "Update", contact=Variant("as", ["new@example.com"]))
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties(_PATH, ACCOUNT))["Status"] == ""

    asyncio.run(run())


def test_contacts_that_the_ca_refuses_are_not_remembered(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.errors["UpdateAccount"] = _acme("invalidContact", "no")
            assert await it.caller.result(await _change(it, "Update", contact=Variant("as", []))) == "failed"
            assert "SetContact" not in it.privd.called

    asyncio.run(run())


def test_end_of_an_account(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            assert await it.caller.result(await _change(it, "Deactivate")) == "done"
            assert [given["operation"] for given in it.privd.given("PermitAccount")] == ["deactivate"]
            assert it.clientd.called == ["DeactivateAccount"]
            assert it.privd.called[-1] == "RetireAccount"
            assert (await it.caller.until("InterfacesRemoved", _PATH)).body[1] == [ACCOUNT]

    asyncio.run(run())


def test_end_of_an_account_that_certificates_need(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.privd.errors["PermitAccount"] = VarlinkError(
                "org.acmed.Priv.InvalidConfiguration", message="account 'second' is used by www.example.com"
            )
            number = await _change(it, "Deactivate")
            assert await it.caller.result(number) == "failed"
            assert [name for name, _ in _errors(it, number)] == ["org.acmed1.Error.InvalidConfiguration"]
            assert it.clientd.called == []

    asyncio.run(run())


def test_end_that_the_ca_refuses(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.errors["DeactivateAccount"] = _acme("unauthorized", "no", 401)
            assert await it.caller.result(await _change(it, "Deactivate")) == "failed"
            assert "RetireAccount" not in it.privd.called
            assert (await it.caller.properties(_PATH, ACCOUNT))["URI"]

    asyncio.run(run())


@pytest.mark.parametrize(("daemon", "method"), [("clientd", "DeactivateAccount"), ("privd", "RetireAccount")])
def test_end_goes_on_after_sigkill(tmp_path: Path, daemon: str, method: str) -> None:
    """The CA does not know the account any more when it is asked again."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            await it.start_process()
            peer = it.privd if daemon == "privd" else it.clientd
            number = await it.kill_in(peer, method, _change(it, "Deactivate"))
            it.clientd.errors["DeactivateAccount"] = _acme("unauthorized", "it is deactivated", 401)
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert not it.privd.account_file("second").exists()

    asyncio.run(run())


def test_new_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            number = await _change(it, "RolloverKey", key_type=Variant("s", "ecdsa-p384"))
            assert await it.caller.result(number) == "done"
            assert it.privd.called == ["NewAccountKey", "AdoptAccountKey"]
            assert it.clientd.called == ["ChangeKey"]
            assert [given["key_type"] for given in it.privd.given("NewAccountKey")] == ["ecdsa-p384"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("daemon", "method", "calls"),
    [
        ("privd", "NewAccountKey", ["NewAccountKey", "NewAccountKey", "AdoptAccountKey"]),
        ("clientd", "ChangeKey", ["NewAccountKey", "NewAccountKey", "AdoptAccountKey"]),
        # The CA has the new key: there must not be another one.
        ("privd", "AdoptAccountKey", ["NewAccountKey", "AdoptAccountKey", "AdoptAccountKey"]),
    ],
)
def test_new_key_after_sigkill(tmp_path: Path, daemon: str, method: str, calls: list[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            await it.start_process()
            peer = it.privd if daemon == "privd" else it.clientd
            number = await it.kill_in(peer, method, _change(it, "RolloverKey", key_type=Variant("s", "rsa-3072")))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert it.privd.called == calls
            assert {given["key_type"] for given in it.privd.given("NewAccountKey")} == {"rsa-3072"}
            assert it.clientd.called.count("ChangeKey") == (2 if method == "ChangeKey" else 1)

    asyncio.run(run())


def test_new_key_that_the_ca_may_still_take_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.errors["ChangeKey"] = _acme("badPublicKey", "no")
            assert await it.caller.result(await _change(it, "RolloverKey")) == "failed"
            assert it.privd.called == ["NewAccountKey"]
            # Nothing of it waits for the timer.
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]

    asyncio.run(run())


_P384 = {"key_type": Variant("s", "ecdsa-p384")}


def _refused(kind: str) -> VarlinkError:
    return VarlinkError("org.acmed.Client.NextKeyRefused", type=kind, detail="no such keys", status=400)


@pytest.mark.parametrize("kind", ["badPublicKey", "malformed"])
def test_new_key_that_the_ca_refuses_makes_way_for_another(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.failures["ChangeKey"] = [_refused(kind)]
            number = await _change(it, "RolloverKey", **_P384)
            assert await it.caller.result(number) == "failed"
            assert it.privd.called == ["NewAccountKey", "DropAccountKey"]
            ((name, message),) = _errors(it, number)
            assert name == f"org.acmed1.AcmeError.{kind}"
            assert message == (
                "no such keys; the account keeps the key that it has. To do: roll the account over to a key of another "
                "type (acmectl account rollover --key-type)"
            )
            number = await _change(it, "RolloverKey", key_type=Variant("s", "rsa-2048"))
            assert await it.caller.result(number) == "done"
            assert it.privd.key == "rsa-2048"

    asyncio.run(run())


def test_new_key_of_a_job_that_failed_is_finished_before_another(tmp_path: Path) -> None:
    """The CA may know it."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.failures["ChangeKey"] = [_acme("serverInternal", "later", 500)]
            assert await it.caller.result(await _change(it, "RolloverKey", **_P384)) == "failed"
            it.privd.calls.clear()
            number = await _change(it, "RolloverKey", key_type=Variant("s", "rsa-2048"))
            assert await it.caller.result(number) == "done"
            assert it.privd.called == ["NewAccountKey", "AdoptAccountKey"] * 2
            assert it.privd.key == "rsa-2048"

    asyncio.run(run())


def test_new_key_of_a_job_that_failed_makes_way_where_the_ca_refuses_it_now(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.privd.next_key = "ecdsa-p384"
            it.clientd.failures["ChangeKey"] = [_refused("badPublicKey")]
            number = await _change(it, "RolloverKey", key_type=Variant("s", "rsa-2048"))
            assert await it.caller.result(number) == "done"
            assert it.privd.called == ["NewAccountKey", "DropAccountKey", "NewAccountKey", "AdoptAccountKey"]
            assert it.privd.key == "rsa-2048"

    asyncio.run(run())


@pytest.mark.parametrize("ordinal", [1, 2])
def test_new_key_after_one_of_another_type_after_sigkill(tmp_path: Path, ordinal: int) -> None:
    """In the first adoption, of what an earlier job has left, and in the second one."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            await it.start_process()
            it.privd.next_key = "ecdsa-p384" if ordinal == 1 else ""
            it.privd.key = "ecdsa-p384"
            begun = _change(it, "RolloverKey", key_type=Variant("s", "rsa-3072"))
            number = await it.kill_in(it.privd, "AdoptAccountKey", begun)
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert (it.privd.key, it.privd.next_key) == ("rsa-3072", "")

    asyncio.run(run())


@pytest.mark.parametrize("daemon", ["privd", "clientd"])
def test_new_key_that_is_refused_after_sigkill(tmp_path: Path, daemon: str) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            await it.start_process()
            it.clientd.errors["ChangeKey"] = _refused("badPublicKey")
            peer = it.privd if daemon == "privd" else it.clientd
            method = "DropAccountKey" if daemon == "privd" else "ChangeKey"
            number = await it.kill_in(peer, method, _change(it, "RolloverKey", **_P384))
            await it.start_process()
            assert await it.caller.result(number) == "failed"
            assert (it.privd.key, it.privd.next_key) == ("ecdsa-p256", "")

    asyncio.run(run())


def test_one_job_at_a_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            gate = it.privd.gate("NewAccountKey")
            number = await _change(it, "RolloverKey")
            for method in ("RolloverKey", "Deactivate"):
                with pytest.raises(DBusError) as busy:
                    await _change(it, method)
                assert busy.value.name == "org.acmed1.Error.Busy"
            with pytest.raises(DBusError) as busy:
                await _add(it, **_GOOD)
            assert busy.value.name == "org.acmed1.Error.Busy"
            gate.set()
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


# Accounts that no CA has registered.

_TYPO = "https://typo.example/directory"
_UNSENT = VarlinkError("org.acmed.Client.Unreachable", url=_TYPO, message="no such host", unsent=True)
_LOST = VarlinkError("org.acmed.Client.Unreachable", url=_DIRECTORY, message="no answer came")


def _failure(it: Rig, number: int) -> str:
    return it.caller.error(number)[0].rpartition(".")[2]


def test_slip_in_the_directory_is_mended_by_adding_it_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Register"] = _UNSENT
            given = _GOOD | {"directory": Variant("s", _TYPO)}
            number = await _add(it, **given)
            assert await it.caller.result(number) == "failed"
            it.clientd.errors.clear()
            assert await it.caller.result(await _add(it, **_GOOD)) == "done"
            assert [one["directory"] for one in it.privd.given("NewAccount")] == [_TYPO, _DIRECTORY]
            # Now it is an account, and that stays where it is.
            with pytest.raises(DBusError) as caught:
                await _add(it, **given)
            assert caught.value.name == "org.acmed1.Error.AccountExists"
            assert _DIRECTORY in caught.value.message

    asyncio.run(run())


@pytest.mark.parametrize("key", [None, '{"kty":"EC"}'])
def test_account_that_is_not_registered_goes_without_a_word_to_the_ca(tmp_path: Path, key: str | None) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            method = "FindAccount" if key else "Register"
            it.clientd.errors[method] = _UNSENT
            given = _GOOD | {"directory": Variant("s", _TYPO)} | ({"key": Variant("s", key)} if key else {})
            assert await it.caller.result(await _add(it, **given)) == "failed"
            asked = list(it.clientd.called)
            number = await _change(it, "Deactivate")
            assert await it.caller.result(number) == "done"
            assert f"not registered at {_TYPO}" in it.caller.last(number, "Detail")
            assert it.clientd.called == asked
            assert it.privd.called[-1] == "RetireAccount"
            assert "PermitAccount" not in it.privd.called
            assert not it.privd.account_file("second").exists()

    asyncio.run(run())


def test_account_that_a_ca_may_have_made_is_asked_for_before_it_goes(tmp_path: Path) -> None:
    """Its key is the only way to it."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Register"] = _LOST
            assert await it.caller.result(await _add(it, **_GOOD)) == "failed"
            for attempt in (_change(it, "Deactivate"), _add(it, **(_GOOD | {"directory": Variant("s", _TYPO)}))):
                with pytest.raises(DBusError, match="not known") as caught:
                    await attempt
                assert caught.value.name == "org.acmed1.Error.NoSuchAccount"
            it.clientd.errors.clear()
            assert await it.caller.result(await _add(it, **_GOOD)) == "done"
            assert it.clientd.called == ["Register", "FindAccount"]
            assert await it.caller.result(await _change(it, "Deactivate")) == "done"
            assert it.clientd.called[-1] == "DeactivateAccount"

    asyncio.run(run())


def test_ca_is_not_asked_where_that_cannot_be_remembered(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.state / "accounts" / ".second.json.new").mkdir()
            number = await _add(it, **_GOOD)
            assert await it.caller.result(number) == "failed"
            assert "Cannot write what is known of account 'second'" in it.caller.error(number)[1]
            assert it.clientd.called == []

    asyncio.run(run())


@pytest.mark.parametrize("directory", [_TYPO, None])
def test_account_is_looked_at_again_when_polkit_has_answered(tmp_path: Path, directory: str | None) -> None:
    """Meanwhile somebody else has asked a CA for it, or has changed what polkit was told."""

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            assert it.polkit
            it.privd.configure_account("second", _DIRECTORY)
            it.clientd.errors["Register"] = _LOST
            held_back = it.polkit.release = asyncio.Event()
            given = {"agree_tos": Variant("b", True)} | ({"directory": Variant("s", directory)} if directory else {})
            held = asyncio.ensure_future(_add(it, **given))
            await it.polkit.came.wait()
            await asyncio.sleep(0)  # until that answer waits
            it.polkit.release = asyncio.Event()
            it.polkit.release.set()
            if directory:
                assert await it.caller.result(await _add(it, **_GOOD)) == "failed"
            else:
                it.privd.configure_account("second", _TYPO)
                await it.caller.manager("Reload")
            held_back.set()
            with pytest.raises(DBusError, match="not known" if directory else "changed meanwhile"):
                await held
            assert _TYPO not in [one["directory"] for one in it.privd.given("NewAccount")]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("errors", "asked", "removable"),
    [
        ([_acme("invalidContact", "no", 400)], False, True),
        ([_LOST, _acme("accountDoesNotExist", "no", 400), _acme("invalidContact", "no", 400)], True, True),
        ([_LOST, _UNSENT], True, False),
        ([_limited("rateLimited", 429)], False, True),
        # A page of somebody in between, who may have passed the request on; and one in place of the directory.
        ([_limited("", 429)], False, False),
        ([_limited("", 503)], False, False),
        ([_limited("", 503, unsent=True)], False, True),
        ([_limited("rateLimited", 503, unsent=True)], False, True),
    ],
)
def test_what_is_known_of_an_account_after_attempts(
    tmp_path: Path, errors: list[VarlinkError], asked: bool, removable: bool
) -> None:
    for error in errors:
        if "final" in error.parameters:
            error.parameters["final"] = False

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.failures["Register"] = [errors[0], *errors[2:]]
            it.clientd.failures["FindAccount"] = errors[1:2]
            for _ in range(2 if asked else 1):
                assert await it.caller.result(await _add(it, **_GOOD)) == "failed"
            if removable:
                assert await it.caller.result(await _change(it, "Deactivate")) == "done"
            else:
                with pytest.raises(DBusError, match="not known"):
                    await _change(it, "Deactivate")

    asyncio.run(run())


def test_account_that_a_certificate_may_come_to_is_not_removed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("second", _TYPO)
            it.privd.configure("www.example.com", ["www.example.com"], account="default", failover=["second"])
            with pytest.raises(DBusError, match=r"used by www\.example\.com") as caught:
                await _change(it, "Deactivate")
            assert caught.value.name == "org.acmed1.Error.InvalidConfiguration"

    asyncio.run(run())


def test_account_that_the_configuration_names_stays_when_its_making_failed(tmp_path: Path) -> None:
    """acme-privd says so; what is told is why it failed."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.terms = "https://ca.example/terms"
            it.privd.errors["RetireAccount"] = VarlinkError("org.acmed.Priv.InvalidConfiguration", message="it is used")
            number = await _add(it, directory=Variant("s", _DIRECTORY))
            assert await it.caller.result(number) == "failed"
            assert _failure(it, number) == "TermsNotAgreed"
            it.clientd.errors["Register"] = _acme("badPublicKey", "no such keys")
            number = await _add(it, **_GOOD)
            assert await it.caller.result(number) == "failed"
            assert _failure(it, number) == "badPublicKey"
            assert "acmed.accounts/second away first" in it.caller.error(number)[1]

    asyncio.run(run())


def test_account_that_the_ca_does_not_know_any_more(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            path = f"{ROOT}/account/default"
            unknown = _acme("accountDoesNotExist", "no such account", 400)
            unknown.parameters["final"] = False
            it.clientd.failures["Order"] = [unknown]
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "failed"
            assert (await it.caller.properties(path, ACCOUNT))["Status"] == "unknown"
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert (await it.caller.properties(path, ACCOUNT))["Status"] == "valid"

    asyncio.run(run())
