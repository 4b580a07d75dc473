# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configuration that changed after a certificate was ordered."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.manager import clock
from acmed.manager.known.installed import read
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import EVERYBODY, Rig, rig

_NAME = "www.example.com"


async def _due(it: Rig) -> list[Any]:
    (jobs,) = await it.caller.manager("RenewDue", "t", 0)
    return list(jobs)


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("key-type", {"key_type": "rsa-2048"}),
        ("profile", {"profile": "shortlived"}),
        ("must-staple", {"must_staple": True}),
        ("common-name", {"common_name": _NAME}),
        ("key-usage", {"key_usage": ["digitalSignature"]}),
        ("hash", {"hash": "sha384"}),
        ("account", {"account": "other"}),
    ],
)
def test_difference_is_shown_and_ordered_anew(tmp_path: Path, word: str, keys: dict[str, Any]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            assert await it.caller.result(await it.caller.order("", _NAME)) == "done"
            it.privd.configure(_NAME, [_NAME], **({"account": "default"} | keys))
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == ([word], "due")
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == ([], "valid")
            assert await _due(it) == []

    asyncio.run(run())


def test_ca_that_an_account_has_been_moved_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            number = await it.caller.order("", _NAME, account=Variant("s", "other"))
            assert await it.caller.result(number) == "done"
            it.privd.configure_account("other", "https://another.example/directory", "https://another.example/1")
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == (["ca"], "due")
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            # The CA that has it is not there to be asked any more.
            assert it.clientd.given("RenewalInfo") == []
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == ([], "valid")

    asyncio.run(run())


def test_ca_that_an_account_is_moved_to_while_it_orders(tmp_path: Path) -> None:
    """What it gets is still of the one that it was at."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            gate = it.clientd.gate("Download")
            number = await it.caller.order("", _NAME, account=Variant("s", "other"))
            await it.clientd.reached["Download"].wait()
            it.privd.configure_account("other", "https://another.example/directory", "https://another.example/1")
            await it.caller.manager("Reload")
            gate.set()
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == (["ca"], "due")

    asyncio.run(run())


def test_ca_is_not_known_of_what_an_older_acmed_ordered(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            assert await it.caller.result(await it.caller.order("", _NAME)) == "done"
            await it.kill()
            path = it.places.state / "certificates" / f"{_NAME}.json"
            data = json.loads(path.read_text())
            del data["issued"]["directory"], data["limited_until"]
            path.write_text(json.dumps(data))
            text = (it.places.etc / "acmed.toml").read_text()
            (it.places.etc / "acmed.toml").write_text(text.replace("ca.example", "another.example"))
            await it.start(EVERYBODY)
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == ([], "valid")
            assert await _due(it) == []

    asyncio.run(run())


def test_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.result(await it.caller.order("", _NAME)) == "done"
            it.privd.configure(_NAME, [_NAME, "mail.example.com"])
            assert (await it.caller.properties())["Differences"] == ["names"]

    asyncio.run(run())


def test_order_with_other_options_is_that_of_a_change(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            times = {"validity_days": Variant("u", 30), "backdate_hours": Variant("u", 12)}
            first = {"profile": Variant("s", "classic"), **times}
            assert await it.caller.result(await it.caller.order("", _NAME, **first)) == "done"
            second = {"challenge": Variant("s", "http-01"), "profile": Variant("s", "")}
            assert await it.caller.result(await it.caller.order(_NAME, **second)) == "done"
            one, other = (given["settings"] for given in it.privd.given("Configure"))
            assert (one["profile"], one["validityDays"], one["challenge"]) == ("classic", 30, None)
            assert (other["profile"], other["validityDays"], other["challenge"]) == (None, 30, "http-01")
            assert one["backdateHours"] == other["backdateHours"] == 12
            values = await it.caller.properties()
            assert (values["Profile"], values["Challenge"]) == ("", "http-01")

    asyncio.run(run())


@pytest.mark.parametrize(("begun", "left"), [(24, 7 * 12), (48, 7 * 12), (1, 8 * 12), (0, 8 * 12)])
def test_what_was_put_back_is_no_time_to_renew_in(tmp_path: Path, begun: int, left: int) -> None:
    """Hours. Half of what a short certificate has when it is ordered, also where its CA put it back by another time."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.begun, it.clientd.lifetime = timedelta(hours=begun), timedelta(days=8)
            asked = {"backdate_hours": Variant("u", 24)}
            assert await it.caller.result(await it.caller.order("", _NAME, **asked)) == "done"
            values = await it.caller.properties()
            expected = values["NotAfter"] - left * clock.HOUR
            assert abs(values["RenewAt"] - expected) < clock.HOUR

    asyncio.run(run())


def test_move_to_an_account_that_was_for_failover(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            number = await it.caller.order("", _NAME, failover=Variant("as", ["other"]))
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["Failover"] == ["other"]
            assert await it.caller.result(await it.caller.order("", _NAME, account=Variant("s", "other"))) == "done"
            values = await it.caller.properties()
            assert (values["Account"], values["Failover"]) == ("other", [])

    asyncio.run(run())


def test_certificate_of_the_account_for_failover_is_no_difference(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            it.clientd.unreachable.add("default")
            number = await it.caller.order("", _NAME, failover=Variant("as", ["other"]))
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["Differences"] == []
            # Its CA is the one to ask.
            await _due(it)
            assert [given["account"] for given in it.clientd.given("RenewalInfo")] == ["other"]

    asyncio.run(run())


async def _ordered_for(it: Rig, key: Path) -> Path:
    """A certificate for a key that root provides."""
    key.write_text("one")
    it.privd.configure(_NAME, [_NAME], key_file=str(key))
    assert await it.caller.result(await it.caller.order(_NAME)) == "done"
    return key


def test_key_that_root_replaced(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            key = await _ordered_for(it, tmp_path / "own.key")
            assert await _due(it) == []
            new = tmp_path / "new.key"
            new.write_text("two")
            new.replace(key)
            assert (await it.caller.properties())["Differences"] == ["key-file"]
            it.privd.replaced.add(_NAME)
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            # Out of sight it is as it was.
            key.unlink()
            assert (await it.caller.properties())["Differences"] == []

    asyncio.run(run())


def test_key_that_was_only_written_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            key = await _ordered_for(it, tmp_path / "own.key")
            key.write_text("one, and a comment")
            assert (await it.caller.properties())["Differences"] == ["key-file"]
            assert await _due(it) == []
            assert (await it.caller.properties())["Differences"] == []

    asyncio.run(run())


_ASKING = {
    "RenewDue": lambda it: it.caller.manager("RenewDue", "t", 0),
    "Renew": lambda it: it.caller.renew(),
    "Reload": lambda it: it.caller.manager("Reload"),
}


@pytest.mark.parametrize("member", _ASKING)
def test_key_where_acmed_cannot_look(tmp_path: Path, member: str) -> None:
    """acme-privd can, and is asked, but not to show how things are."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME], key_file="/nonexistent/own.key")
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.calls.clear()
            it.caller.signals.clear()
            it.privd.replaced.add(_NAME)
            assert (await it.caller.properties())["Differences"] == []
            await it.caller.manager("ListCertificates")
            assert it.privd.called == []
            await _ASKING[member](it)
            assert it.privd.calls[0] == ("ProvidedKeys", {"keys": [{"certificate": _NAME, "seen": ""}]})
            if member == "Reload":
                assert (await it.caller.properties())["Differences"] == ["key-file"]
                await it.caller.renew()
            number = (await it.caller.until("JobNew")).body[0]
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["Differences"] == []
            assert await _due(it) == []

    asyncio.run(run())


def test_key_where_acmed_cannot_look_is_remembered(tmp_path: Path) -> None:
    """Until the certificate is another one."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            it.privd.configure(_NAME, [_NAME], key_file="/nonexistent/own.key")
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.replaced.add(_NAME)
            await it.caller.manager("Reload")
            await it.kill()
            it.privd.calls.clear()
            await it.start(EVERYBODY)
            assert (await it.caller.properties())["Differences"] == ["key-file"]
            assert it.privd.called == []
            gate = it.privd.gate("NewRequest")  # the order that follows does not come to anything here
            assert await _due(it)
            (asked,) = it.privd.given("ProvidedKeys")
            assert asked["keys"][0]["seen"].endswith(" True")
            assert (await it.caller.properties())["Differences"] == ["key-file"], "nothing was said, as it is the same"
            gate.set()
            it.privd.install(_NAME, certificate([_NAME]))
            assert (await it.caller.properties())["Differences"] == []

    asyncio.run(run())


def test_key_that_nobody_can_say_anything_of(tmp_path: Path) -> None:
    """It fails nothing."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME], key_file="/nonexistent/own.key")
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.errors["ProvidedKeys"] = VarlinkError("org.varlink.service.MethodNotImplemented", method="x")
            assert await _due(it) == []
            await it.caller.manager("Reload")
            with pytest.raises(DBusError) as early:
                await it.caller.renew()
            assert early.value.name == "org.acmed1.Error.NotDue"

    asyncio.run(run())


def test_nobody_is_asked_where_no_key_is_provided(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.result(await it.caller.order("", _NAME)) == "done"
            it.privd.calls.clear()
            assert await _due(it) == []
            await it.caller.manager("Reload")
            with pytest.raises(DBusError):
                await it.caller.renew()
            assert it.privd.called == []

    asyncio.run(run())


@pytest.mark.parametrize("account", ["default", ""])
def test_state_of_an_older_acmed_orders_nothing_anew(tmp_path: Path, account: str) -> None:
    """It does not say what a certificate was ordered as."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure(_NAME, [_NAME], key_type="rsa-4096", profile="shortlived", must_staple=True)
            it.privd.install(_NAME, certificate([_NAME]))
            found = read(it.places.certificates / _NAME / "cert.pem")
            assert found
            directory = it.places.state / "certificates"
            directory.mkdir(parents=True)
            state = {
                "failures": 0, "error_name": "", "error_message": "", "error_time": 0, "retry_at": 0, "revoked": "",
                "delivered": {}, "delivery_errors": {}, "installed": vars(found) | {"identifiers": [_NAME]},
                "account": account,
            }  # fmt: skip
            (directory / f"{_NAME}.json").write_text(json.dumps(state))
            await it.start(EVERYBODY)
            assert await _due(it) == []
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == ([], "valid")
            assert not list(directory.glob("*.broken"))

    asyncio.run(run())


def test_account_that_an_older_acmed_knew_is_still_held_against(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure(_NAME, [_NAME], account="default")
            it.privd.install(_NAME, certificate([_NAME]))
            directory = it.places.state / "certificates"
            directory.mkdir(parents=True)
            (directory / f"{_NAME}.json").write_text(json.dumps({"account": "staging"}))
            await it.start(EVERYBODY)
            assert (await it.caller.properties())["Differences"] == ["account"]

    asyncio.run(run())
