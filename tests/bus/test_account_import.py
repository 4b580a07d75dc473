# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts that bring their key along."""

import asyncio
from pathlib import Path

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import ACCOUNT, NOBODY, PROPERTIES, ROOT, Rig, rig

_PATH = "/org/acmed1/account/moved"
_DIRECTORY = "https://ca.example/directory"
_SECRET = "c2VjcmV0LW9mLXRoZS1hY2NvdW50"
_KEY = f'{{"kty":"EC","d":"{_SECRET}"}}'
_UNKNOWN = VarlinkError(
    "org.acmed.Client.Acme",
    type="accountDoesNotExist",
    detail="no such account",
    status=400,
    retryAfter=None,
    final=False,
    subproblems=[],
)


async def _import(it: Rig, **options: Variant) -> int:
    given = {"directory": Variant("s", _DIRECTORY), "key": Variant("s", _KEY)}
    given |= {key.replace("_", "-"): value for key, value in options.items()}
    number, _ = await it.caller.manager("AddAccount", "sa{sv}", "moved", given)
    return int(number)


def _error(it: Rig, number: int) -> tuple[str, str]:
    (found,) = [
        signal.body[1]["Error"].value
        for signal in it.caller.signals
        if signal.path == f"{ROOT}/job/_{number}" and signal.member == "PropertiesChanged" and "Error" in signal.body[1]
    ]
    return str(found[0]), str(found[1])


def test_the_ca_finds_the_account_and_nobody_has_to_agree(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.terms = "https://ca.example/terms"
            assert await it.caller.result(await _import(it)) == "done"
            assert it.privd.called == ["ImportAccountKey", "NewAccount", "SetAccountUri"]
            (made,) = it.privd.given("NewAccount")
            assert made["key_type"] is None
            assert it.clientd.called == ["FindAccount"]
            values = await it.caller.properties(_PATH, ACCOUNT)
            assert (values["URI"], values["Status"]) == ("https://ca.example/account/1", "valid")

    asyncio.run(run())


@pytest.mark.parametrize("terms", ["https://ca.example/terms", None])
def test_no_account_is_made_unasked(tmp_path: Path, terms: str | None) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.terms = terms
            it.clientd.errors["FindAccount"] = _UNKNOWN
            number = await _import(it)
            assert await it.caller.result(number) == "failed"
            name, message = _error(it, number)
            assert name == "org.acmed1.Error.TermsNotAgreed"
            assert "knows no account by this key" in message
            assert terms is None or terms in message
            assert "Register" not in it.clientd.called
            assert it.privd.called[-1] == "RetireAccount"

    asyncio.run(run())


def test_what_root_has_configured_stays_where_nobody_agrees(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("moved", _DIRECTORY)
            it.clientd.errors["FindAccount"] = _UNKNOWN
            number = await _import(it)
            assert await it.caller.result(number) == "failed"
            assert _error(it, number)[0] == "org.acmed1.Error.TermsNotAgreed"
            assert it.privd.called == ["ImportAccountKey", "NewAccount"]

    asyncio.run(run())


def test_a_new_account_by_the_same_key_where_it_is_asked_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["FindAccount"] = _UNKNOWN
            assert await it.caller.result(await _import(it, agree_tos=Variant("b", True))) == "done"
            assert it.clientd.called == ["FindAccount", "Register"]

    asyncio.run(run())


def test_unreachable_ca(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["FindAccount"] = VarlinkError(
                "org.acmed.Client.Unreachable", url=_DIRECTORY, message="no route"
            )
            number = await _import(it, agree_tos=Variant("b", True))
            assert await it.caller.result(number) == "failed"
            assert _error(it, number)[0] == "org.acmed1.Error.Unreachable"
            assert "Register" not in it.clientd.called

    asyncio.run(run())


async def _log_level(it: Rig, level: str) -> None:
    path, interface = "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1"
    await it.caller.call(path, PROPERTIES, "Set", "ssv", interface, "LogLevel", Variant("s", level))


def test_the_key_goes_to_privd_and_nowhere_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _log_level(it, "debug")
            gate = it.privd.gate("NewAccount")
            number = await _import(it)
            (sealed,) = it.privd.given("ImportAccountKey")
            assert sealed == {"job": number, "account": "moved", "directory": _DIRECTORY, "key": _KEY}
            await it.privd.reached["NewAccount"].wait()
            kept = [path.read_text() for path in it.places.state.rglob("*") if path.is_file()]
            assert any('"moved"' in content for content in kept)
            assert not any(_SECRET in content for content in kept)
            assert _SECRET not in str(await it.caller.properties(f"{ROOT}/job/_{number}", "org.acmed1.Job"))
            gate.set()
            assert await it.caller.result(number) == "done"
            assert not any(_SECRET in str(signal) for signal in it.caller.signals)
            await _log_level(it, "info")

    asyncio.run(run())
    assert _SECRET not in "".join(capfd.readouterr())


def test_account_that_has_another_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.errors["ImportAccountKey"] = VarlinkError("org.acmed.Priv.AccountExists", account="moved")
            with pytest.raises(DBusError) as refused:
                await _import(it)
            assert refused.value.name == "org.acmed1.Error.AccountExists"
            assert "not overwritten" in refused.value.message
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


@pytest.mark.parametrize(
    "options",
    [
        {"key": Variant("s", "")},
        {"key": Variant("s", f"-----BEGIN PRIVATE KEY-----\n{_SECRET}\n")},
        {"key": Variant("s", _KEY + " " * (16 * 1024))},
        {"key": Variant("as", [_KEY])},
        {"key_type": Variant("s", "rsa-2048")},
    ],
)
def test_what_is_no_key_is_refused_before_anybody_is_asked(tmp_path: Path, options: dict[str, Variant]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            with pytest.raises(DBusError) as refused:
                await _import(it, **options)
            assert refused.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
            assert _SECRET not in refused.value.message
            assert it.polkit
            assert it.polkit.asked == []

    asyncio.run(run())


def test_polkit_is_asked_and_not_told_of_the_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            assert await it.caller.result(await _import(it)) == "done"
            assert it.polkit
            (asked,) = it.polkit.asked
            assert asked.action == "org.acmed1.manage-accounts"
            assert asked.details == {"account": "moved", "directory": _DIRECTORY, "key-type": "imported"}

    asyncio.run(run())
