# SPDX-License-Identifier: LGPL-2.1-or-later
"""The DNS records that are published once and for all."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import CERTIFICATE, WWW, Rig, rig

_ZONE = '[zone."example.net"]\nserver = "192.0.2.53"\nttl = 300\n'


async def _records(it: Rig) -> Any:
    (records,) = await it.caller.call(WWW, CERTIFICATE, "ListRecords", "a{sv}", {})
    return records


def _configure(it: Rig, names: list[str], challenge: str = "", zones: str = "", **keys: Any) -> None:
    (it.places.etc / "acmed.toml.d" / "zones.toml").write_text(zones)
    it.privd.configure("www.example.com", names, challenge=challenge or None, **keys)


def test_lasting_records_for_each_name_and_ca(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            names = ["www.example.com", "*.example.net", "example.net"]
            _configure(it, names, "dns-persist-01", _ZONE, account="default", failover=["other"])
            uris = ("https://ca.example/account/1", "https://other.example/1")
            first, second = (f"ca.example; accounturi={uri}" for uri in uris)
            assert await _records(it) == [
                ["_validation-persist.www.example.com", "TXT", first, 3600],
                ["_validation-persist.example.net", "TXT", f"{first}; policy=wildcard", 300],
                ["_validation-persist.www.example.com", "TXT", second, 3600],
                ["_validation-persist.example.net", "TXT", f"{second}; policy=wildcard", 300],
            ]
            # How a CA is called does not change every minute.
            assert it.clientd.called == ["Directory", "Directory"]
            await _records(it)
            assert it.clientd.called == ["Directory", "Directory"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("challenge", "label"),
    [("dns-01", "_acme-challenge"), ("dns-account-01", "_ujmmovf2vn55tgye._acme-challenge")],
)
def test_delegation_into_a_zone_that_can_be_changed(tmp_path: Path, challenge: str, label: str) -> None:
    """The label of dns-account-01 is that of its draft's example."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            uri = "https://example.com/acme/acct/ExampleAccount"
            it.privd.configure_account("draft", "https://example.com/directory", uri)
            _configure(it, ["www.example.com", "www.example.net"], challenge, _ZONE, account="draft")
            assert await _records(it) == [
                [f"{label}.www.example.com", "CNAME", f"{label}.www.example.com.example.net", 3600]
            ]
            assert it.clientd.called == []

    asyncio.run(run())


@pytest.mark.parametrize(("challenge", "zones"), [("", _ZONE), ("http-01", _ZONE), ("dns-01", "")])
def test_nothing_to_publish(tmp_path: Path, challenge: str, zones: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, ["www.example.com"], challenge, zones)
            assert await _records(it) == []

    asyncio.run(run())


def test_ca_that_cannot_be_asked(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, ["www.example.com"], "dns-persist-01")
            it.clientd.errors["Directory"] = VarlinkError(
                "org.acmed.Client.Unreachable", url="https://ca.example/", message="refused"
            )
            with pytest.raises(DBusError) as refused:
                await _records(it)
            assert refused.value.name == "org.acmed1.Error.Unreachable"

    asyncio.run(run())


def test_findings_of_a_check(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            number = await it.caller.order("", "www.example.com", services=Variant("as", ["nginx"]))
            assert await it.caller.result(number) == "done"
            it.privd.port_problem = "nginx.service has port 80"
            (found,) = await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {})
            assert ["port", "http-01", "error", "nginx.service has port 80"] in found
            assert {row[0] for row in found} >= {"limit", "clock", "port"}

    asyncio.run(run())
