# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts whose configuration says where their key is."""

import asyncio
from pathlib import Path

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import ACCOUNT, NOBODY, ROOT, Rig, rig

_PATH = "/org/acmed1/account/second"
_DIRECTORY = "https://ca.example/directory"
_KEY = 'key = "gpg:/etc/acmed/second.gpg"\ncontact = ["admin@example.com"]\n'
_AGREED = {"agree-tos": Variant("b", True)}


def _configure(it: Rig, uri: str = "", key: str = _KEY) -> None:
    it.privd.configure_account("second", _DIRECTORY, uri, key)


async def _add(it: Rig, options: dict[str, Variant]) -> int:
    number, _ = await it.caller.manager("AddAccount", "sa{sv}", "second", options)
    return int(number)


def test_it_is_registered_as_it_is_configured(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            assert await it.caller.result(await _add(it, _AGREED)) == "done"
            (made,) = it.privd.given("NewAccount")
            assert (made["directory"], made["contact"]) == (None, ["mailto:admin@example.com"])
            assert it.privd.called == ["NewAccount", "SetAccountUri"]

    asyncio.run(run())


def test_where_its_key_is(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            assert (await it.caller.properties(_PATH, ACCOUNT))["KeySource"] == "gpg:/etc/acmed/second.gpg"
            _configure(it, key='key = "pkcs11:token=acme;object=a?module-name=softhsm2"\n')
            source = "pkcs11:token=acme;object=a?module-name=softhsm2"
            assert (await it.caller.properties(_PATH, ACCOUNT))["KeySource"] == source
            assert (await it.caller.properties(f"{ROOT}/account/default", ACCOUNT))["KeySource"] == ""

    asyncio.run(run())


def test_key_that_cannot_be_reached(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            reason = "gpg:/etc/acmed/second.gpg of account second cannot be used: no secret key"
            it.clientd.errors["FindAccount"] = VarlinkError(
                "org.acmed.Client.KeyUnavailable", account="second", reason=reason
            )
            number = await _add(it, _AGREED)
            assert await it.caller.result(number) == "failed"
            (error,) = [
                signal.body[1]["Error"].value
                for signal in it.caller.signals
                if signal.path.endswith(f"_{number}") and signal.body and "Error" in signal.body[1]
            ]
            assert error[0] == "org.acmed1.Error.KeyUnavailable"
            assert reason in error[1]

    asyncio.run(run())


def test_another_key_is_the_administrators_work_and_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            _configure(it, "https://ca.example/account/2")
            with pytest.raises(DBusError) as refused:
                await it.caller.call(_PATH, ACCOUNT, "RolloverKey", "a{sv}", {}, interactive=True)
            assert refused.value.name == "org.freedesktop.DBus.Error.NotSupported"
            assert "gpg:/etc/acmed/second.gpg" in refused.value.message
            assert it.polkit
            assert it.polkit.asked == []

    asyncio.run(run())


def test_no_type_is_chosen_for_a_key_that_is_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            with pytest.raises(DBusError) as refused:
                await _add(it, {**_AGREED, "key-type": Variant("s", "rsa-2048")})
            assert refused.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
            assert "gpg:/etc/acmed/second.gpg" in refused.value.message

    asyncio.run(run())


def test_it_can_be_ended(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, "https://ca.example/account/2")
            number, _ = await it.caller.call(_PATH, ACCOUNT, "Deactivate", "a{sv}", {})
            assert await it.caller.result(number) == "done"
            assert it.privd.called == ["PermitAccount", "RetireAccount"]

    asyncio.run(run())


def test_new_account_needs_a_directory(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            with pytest.raises(DBusError) as refused:
                await _add(it, _AGREED)
            assert "'directory' is missing" in refused.value.message

    asyncio.run(run())


def test_order_whose_key_could_not_be_used_is_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.thumbprint = None
            number = await it.caller.order("www.example.com", "www.example.com")
            error = (await it.caller.until("CertificateFailed", "www.example.com")).body
            assert await it.caller.result(number) == "failed"
            assert error[2] == "org.acmed1.Error.KeyUnavailable"
            assert error[4] > 0
            assert "Finalize" not in it.clientd.called

    asyncio.run(run())
