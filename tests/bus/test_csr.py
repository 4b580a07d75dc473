# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates for CSRs that were made elsewhere."""

import asyncio
import base64
from pathlib import Path

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.peers import request
from tests.bus.rig import WWW, Rig, rig

_NAME = "www.example.com"


async def _order(it: Rig, csr: bytes, name: str = "", **options: Variant) -> int:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    _, number, _ = await it.caller.manager("OrderCSR", "saya{sv}", name, csr, given)
    return int(number)


def test_csr_is_handed_on_and_its_names_are_ordered(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            csr = request(["mail.example.com", _NAME], _NAME)
            path, number, _ = await it.caller.manager(
                "OrderCSR", "saya{sv}", "", csr, {"profile": Variant("s", "shortlived")}
            )
            assert path == WWW
            assert await it.caller.result(number) == "done"
            (configured,) = it.privd.given("Configure")
            assert configured["names"] == [_NAME, "mail.example.com"]
            settings = configured["settings"]
            assert base64.b64decode(settings["csr"]) == csr
            assert (settings["profile"], settings["keyType"], settings["mustStaple"]) == ("shortlived", None, None)
            values = await it.caller.properties()
            assert (values["State"], values["Differences"], values["Profile"]) == ("valid", [], "shortlived")
            assert sorted(values["Paths"]) == ["cert", "chain", "fullchain"]  # its key is elsewhere

    asyncio.run(run())


def test_it_is_used_again_until_another_one_is_given(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            csr = request([_NAME])
            assert await it.caller.result(await _order(it, csr)) == "done"
            with pytest.raises(DBusError) as exists:
                await _order(it, csr)
            assert exists.value.name == "org.acmed1.Error.CertificateExists"
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"
            # Another one, with other names too.
            assert await it.caller.result(await _order(it, request([_NAME, "mail.example.com"]), _NAME)) == "done"
            assert [given["replace"] for given in it.privd.given("Configure")] == [False, True]
            assert (await it.caller.properties())["Identifiers"] == [_NAME, "mail.example.com"]

    asyncio.run(run())


def test_another_csr_that_failed_is_due(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.result(await _order(it, request([_NAME]))) == "done"
            it.clientd.unreachable.add("default")
            assert await it.caller.result(await _order(it, request([_NAME]))) == "failed"
            values = await it.caller.properties()
            assert (values["Differences"], values["State"]) == (["csr"], "failing")
            it.clientd.unreachable.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert (await it.caller.properties())["Differences"] == []

    asyncio.run(run())


def test_key_of_acmeds_gives_way_to_a_csr_for_the_same_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.result(await it.caller.order("", _NAME)) == "done"
            with pytest.raises(DBusError) as exists:
                await _order(it, request(["other.example.com"]), _NAME)
            assert exists.value.name == "org.acmed1.Error.CertificateExists"
            assert await it.caller.result(await _order(it, request([_NAME]))) == "done"
            with pytest.raises(DBusError) as exists:
                await it.caller.order(_NAME)
            assert exists.value.name == "org.acmed1.Error.CertificateExists"
            # What is not in the CSR can be changed without it.
            with pytest.raises(DBusError) as refused:
                await it.caller.order(_NAME, key_type=Variant("s", "rsa-2048"))
            assert "key-type" in refused.value.message
            assert await it.caller.result(await it.caller.order(_NAME, profile=Variant("s", "shortlived"))) == "done"
            settings = it.privd.given("Configure")[-1]["settings"]
            assert (settings["profile"], settings["keyType"], settings["csr"]) == ("shortlived", None, None)
            assert (await it.caller.properties())["Differences"] == []

    asyncio.run(run())


def test_csr_that_privd_refuses(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.errors["Configure"] = VarlinkError(
                "org.acmed.Priv.InvalidConfiguration", message="the key of the CSR is weak"
            )
            with pytest.raises(DBusError) as refused:
                await _order(it, request([_NAME]))
            assert refused.value.name == "org.acmed1.Error.InvalidConfiguration"
            assert "weak" in refused.value.message
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())
