# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many calls at once for a key whose far end is silent: acme-keyd waits for none of them much longer than for one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from acmed.config.keysource import Kind
from acmed.store import far, unix
from acmed.store.service import StoreService
from acmed.varlink import Call, VarlinkError
from tests.unit.keyd.rig import new_key
from tests.unit.store.farrig import account, far_end, greeting, says

PEER = Call(1, 0, 0)


def test_who_waits_for_what_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "_OPEN", 0.05)

    async def run() -> None:
        tried = 0
        async with far_end(tmp_path, says(b"", stays=True), says(greeting(new_key()), stays=True)) as socket:

            async def open_key(*_: object) -> far.Remote:
                nonlocal tried
                tried += 1
                return await far.Remote.open(account(socket), lambda: unix.connect(str(socket)), keep=True)

            store = StoreService(Kind.UNIX, {"main": account(socket)}, open_key)
            answers = await asyncio.gather(*(ask(store.get_key) for _ in range(5)))
            assert all("does not answer within 0.05 s" in answer for answer in answers)
            assert tried == 1
            assert await ask(store.get_key) == ""
            await store.close()

    asyncio.run(run())


async def ask(method: Callable[..., Awaitable[object]]) -> str:
    """Why there is no answer."""
    try:
        await method(PEER, account="main")
    except VarlinkError as error:
        return str(error.parameters["reason"])
    return ""
