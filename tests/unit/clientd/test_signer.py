# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd refuses, is restarted, or is not there."""

import asyncio

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import Rig


@pytest.mark.parametrize(
    ("refusal", "name", "parameters"),
    [
        (
            VarlinkError("org.acmed.Key.NotPermitted", account="main", rule="a permit"),
            "NotPermitted",
            {"account": "main", "rule": "a permit"},
        ),
        (
            VarlinkError("org.acmed.Key.KeyUnavailable", account="main", reason="no card"),
            "KeyUnavailable",
            {"account": "main", "reason": "no card"},
        ),
        (VarlinkError("org.acmed.Key.UnknownAccount", account="main"), "NoSuchAccount", {"account": "main"}),
        (
            VarlinkError("org.acmed.InternalError"),
            "KeyUnavailable",
            {"account": "main", "reason": "acme-keyd answered org.acmed.InternalError"},
        ),
    ],
)
def test_what_acme_keyd_refuses(play: Play, refusal: VarlinkError, name: str, parameters: dict[str, str]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.keys.refuse = refusal
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.name == f"org.acmed.Client.{name}"
        assert caught.value.parameters == parameters

    play(scenario)


def test_acme_keyd_is_restarted_meanwhile(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.keys_listener.stop()
        asyncio.get_running_loop().call_later(0.1, rig.keys_listener.start)
        await rig.order()

    play(scenario)


def test_acme_keyd_is_not_there(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.keys_listener.stop()
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.name == "org.acmed.Client.KeyUnavailable"
        assert "key.sock" in caught.value.parameters["reason"]
        rig.keys_listener.start()

    play(scenario)
