# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd reads what CAs send: whatever it answers, acmed stays on the bus and shows all that it has."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import Variant
from acmed.manager import clock
from acmed.manager.objects import objectpaths
from tests.bus.listening import Listening
from tests.bus.peers import certificate
from tests.bus.rig import ACCOUNT, CERTIFICATE, MANAGER, OBJECT_MANAGER, ROOT, WWW, Rig, rig

_NAME = "www.example.com"
# NUL ends a connection to the bus, a lone surrogate is no UTF-8, and the rest would forge a line of a terminal.
_ODD = "val\x00id\ud800\x1b[2J\n"


def _answer(it: Rig, method: str, handler: Any) -> None:
    """Has acme-clientd answer a method like this from now on."""
    setattr(it.clientd, method, handler)
    it.client_listening.close()
    it.client_listening = Listening("org.acmed.Client", it.clientd, it.places.client_socket)


async def _all(it: Rig) -> dict[str, Any]:
    """Everything that there is, as those read it who draw it."""
    (managed,) = await it.caller.call(ROOT, OBJECT_MANAGER, "GetManagedObjects")
    await it.caller.properties(ROOT, MANAGER)
    return dict(managed)


def test_status_of_an_account(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:

            async def register(_: Any, **given: Any) -> dict[str, Any]:
                return {"uri": "https://ca.example/account/1", "status": _ODD, "termsOfService": _ODD}

            _answer(it, "register", register)
            given = {"directory": Variant("s", "https://ca.example/directory"), "agree-tos": Variant("b", True)}
            number, _ = await it.caller.manager("AddAccount", "sa{sv}", "default", given)
            assert await it.caller.result(int(number)) == "done"
            status = (await _all(it))[objectpaths.account("default")][ACCOUNT]["Status"].value
            assert status.isprintable()

    asyncio.run(run())


@pytest.mark.parametrize("step", ["down\0load", "\ud800"])
def test_step_of_an_order(tmp_path: Path, step: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            finalize = it.clientd.finalize

            async def odd(call: Any, progress: Any, **given: Any) -> Any:
                async def spoilt(reply: dict[str, Any]) -> None:
                    await progress(reply | {"step": step, "detail": _ODD, "progress": -(10**30)})

                return await finalize(call, spoilt, **given)

            odd.__dict__["more"] = True
            _answer(it, "finalize", odd)
            number = await it.caller.order(_NAME, _NAME)
            assert await it.caller.result(number) == "done"
            await _all(it)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("start", "end"), [(-62_135_596_800_000_000, -62_135_596_700_000_000), (1, 10**40), (-(10**40), 10**40)]
)
def test_window_for_renewal_that_is_out_of_this_world(tmp_path: Path, start: int, end: int) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            it.privd.install(_NAME, certificate([_NAME]))
            it.privd.configure("other", ["other.example.com"])
            it.privd.install("other", certificate(["other.example.com"]))
            it.clientd.window = {"start": start, "end": end, "explanationUrl": None, "retryAfter": 60}
            await it.caller.manager("RenewDue", "t", 0)
            for number, *_ in (await it.caller.manager("ListJobs"))[0]:
                await it.caller.result(number)
            assert WWW in await _all(it)

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [10**12, -1])
def test_when_to_ask_again_that_is_out_of_this_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Neither by the next call, nor never."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            it.privd.install(_NAME, certificate([_NAME]))
            it.clientd.window["retryAfter"] = seconds
            for _ in range(2):
                await it.caller.manager("RenewDue", "t", 0)
            assert it.clientd.called.count("RenewalInfo") == 1
            now = clock.now() + clock.DAY
            monkeypatch.setattr(clock, "now", lambda: now)
            await it.caller.manager("RenewDue", "t", 0)
            assert it.clientd.called.count("RenewalInfo") == 2

    asyncio.run(run())


def test_names_of_a_ca_in_dns(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME], challenge="dns-persist-01")
            directory = it.clientd.directory

            async def odd(call: Any, **given: Any) -> Any:
                return await directory(call, **given) | {"caaIdentities": [_ODD, "ca.example"]}

            _answer(it, "directory", odd)
            (records,) = await it.caller.call(WWW, CERTIFICATE, "ListRecords", "a{sv}", {})
            assert [record[2].partition(";")[0] for record in records] == ["ca.example"]
            await _all(it)

    asyncio.run(run())


@pytest.mark.parametrize("expires", [10**40, -(10**18)])
def test_end_of_an_authorization(tmp_path: Path, expires: int) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.expires = expires
            number, _ = await it.caller.manager("Authorize", "asa{sv}", ["www.example.com"], {})
            assert await it.caller.result(int(number)) == "done"
            await _all(it)

    asyncio.run(run())


def test_what_holds_a_port(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            it.privd.port_problem = _ODD
            (found,) = await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {})
            assert all(word.isprintable() for finding in found for word in finding)

    asyncio.run(run())


def test_what_was_found_in_dns(tmp_path: Path) -> None:
    """acme-dnsd too reads what the network sends."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            it.dnsd.find_error(_ODD, _NAME, _ODD, severity=_ODD)
            (found,) = await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {})
            assert "val" in str(found)
            assert all(word.isprintable() for finding in found for word in finding)

    asyncio.run(run())
