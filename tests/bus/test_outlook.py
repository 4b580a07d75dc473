# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmectl makes of a certificate's properties is when acmed does something: its NextRenewal."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from acmed.bus import Variant
from acmed.ctl import outlook, times
from acmed.ctl.records import Certificate
from acmed.manager.clock import SECOND
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import CERTIFICATE, MANAGER, ROOT, WWW, Rig, rig

NAME = "www.example.com"
_DOWN = VarlinkError("org.acmed.Client.Unreachable", url="https://ca.example/dir", message="Connection refused")


async def valid(it: Rig) -> str:
    assert await it.caller.result(await it.caller.order("", NAME)) == "done"
    return "later"


async def revoked(it: Rig, **options: bool) -> str:
    await valid(it)
    given = {key: Variant("b", value) for key, value in options.items()}
    number, _ = await it.caller.call(WWW, CERTIFICATE, "Revoke", "ua{sv}", 4, given)
    assert await it.caller.result(number) == "done"
    return "never"


async def left_alone(it: Rig) -> str:
    return await revoked(it, replace=False)


async def replacement_failed(it: Rig) -> str:
    await left_alone(it)
    it.clientd.errors["Order"] = _DOWN
    assert await it.caller.result(await it.caller.renew()) == "failed"
    return "later"


async def of_csr(it: Rig) -> str:
    it.privd.configure(NAME, [NAME], csr=True)
    it.privd.install(NAME, certificate([NAME]))
    number, _ = await it.caller.call(WWW, CERTIFICATE, "Revoke", "ua{sv}", 4, {})
    assert await it.caller.result(number) == "done"
    return "never"


async def missing(it: Rig) -> str:
    it.privd.configure(NAME, [NAME])
    return "now"


async def never_got(it: Rig) -> str:
    it.clientd.errors["Order"] = _DOWN
    assert await it.caller.result(await it.caller.order("", NAME)) == "failed"
    return "later"


async def different(it: Rig) -> str:
    await valid(it)
    it.privd.configure(NAME, [NAME, "example.com"])
    return "now"


async def broken(it: Rig) -> str:
    await valid(it)
    it.privd.configure(NAME, [NAME], nombre=1)
    return "never"


async def not_due(it: Rig) -> str:
    await valid(it)
    it.clientd.errors["Order"] = _DOWN
    assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
    return "later"


async def not_revoked(it: Rig) -> str:
    await valid(it)
    it.clientd.errors["Revoke"] = _DOWN
    number, _ = await it.caller.call(WWW, CERTIFICATE, "Revoke", "ua{sv}", 1, {})
    assert await it.caller.result(number) == "failed"
    return "later"


@pytest.mark.parametrize(
    "scene",
    [valid, left_alone, replacement_failed, of_csr, missing, never_got, different, broken, not_due, not_revoked],
)
def test_next_renewal_is_what_acmed_does(tmp_path: Path, scene: Callable[[Rig], Awaitable[str]]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            expected = await scene(it)
            await it.caller.manager("Reload")
            found = Certificate.read(WWW, await it.caller.properties())
            moment = int((await it.caller.properties(ROOT, MANAGER))["NextRenewal"])
            shown = outlook.next_renewal(found, time.time())
            if expected == "never":
                assert (shown, moment) == ("-", 0)
            elif expected == "now":
                assert shown == "now"
                assert 0 < moment <= time.time() * SECOND
            else:
                assert moment > time.time() * SECOND
                assert shown == times.local(moment)

    asyncio.run(run())


def test_what_cannot_be_read_is_not_renewed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(NAME, [NAME])
            (it.places.certificates / NAME).symlink_to(NAME)  # root can read all but a loop
            await it.caller.manager("Reload")
            found = Certificate.read(WWW, await it.caller.properties())
            assert outlook.is_unseen(found)
            assert (await it.caller.properties(ROOT, MANAGER))["NextRenewal"] == 0
            assert outlook.next_renewal(found, time.time()) == "-"

    asyncio.run(run())
