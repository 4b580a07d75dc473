# SPDX-License-Identifier: LGPL-2.1-or-later
"""The change of an account's key, interrupted wherever it can be."""

from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import faults, jws
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import Rig


def check_changed(rig: Rig) -> None:
    """One account, with the next key."""
    assert [account.key for account in rig.ca.accounts.values()] == [jws.jwk(rig.keys.next_key)]


def test_the_key_is_changed(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        assert await rig.ask("ChangeKey") == {}
        check_changed(rig)
        assert rig.ca.counts() == {"keyChange": 1}

    play(scenario)


def test_a_change_that_was_made_before(play: Play) -> None:
    """As after a crash between the two keys: acme-keyd still signs with the old one."""

    async def scenario(rig: Rig) -> None:
        await rig.ask("ChangeKey")
        rig.ca.requests.clear()
        assert await rig.ask("ChangeKey") == {}
        check_changed(rig)
        assert rig.ca.counts() == {"keyChange": 1, "newAccount": 1}
        assert rig.ca.payloads("newAccount") == [{"onlyReturnExisting": True}]

    play(scenario)


@pytest.mark.parametrize("fault", [faults.lose_request, faults.lose_answer, faults.cut_answer])
def test_a_lost_change(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [fault]
        await rig.ask("ChangeKey")
        check_changed(rig)

    play(scenario)


@pytest.mark.parametrize("relative", [False, True])
def test_a_conflict_with_itself(play: Play, relative: bool) -> None:
    """A CA that looks at the next key first, and says nothing else than whose it is, as Pebble."""

    async def scenario(rig: Rig) -> None:
        uri = rig.accounts["main"].uri or ""
        location = uri.removeprefix(rig.ca.base) if relative else uri
        rig.ca.faults["keyChange"] = [lambda _: Reply(409, {"Location": location})]
        await rig.ask("ChangeKey")
        assert rig.ca.counts() == {"keyChange": 1}

    play(scenario)


@pytest.mark.parametrize("told", [True, False])
def test_a_key_that_is_another_accounts(play: Play, told: bool) -> None:
    async def scenario(rig: Rig) -> None:
        other = rig.ca.open_account(jws.jwk(rig.keys.next_key))
        if not told:
            rig.ca.faults["keyChange"] = [faults.refuse(Refusal(409, "conflict"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["type"] == "conflict"
        assert caught.value.parameters["detail"] == (
            f"the next key of main is already the key of another account, {other}"
        )

    play(scenario)


@pytest.mark.parametrize(
    "refusal", [Refusal(403, "unauthorized", "no"), Refusal(400, "badPublicKey", "weak"), Refusal(404, "malformed")]
)
def test_a_change_that_is_refused(play: Play, refusal: Refusal) -> None:
    """The next key has no account, so what the CA said first is what counts."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(refusal)]
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["type"] == refusal.kind
        assert caught.value.parameters["detail"] == refusal.detail
        assert rig.ca.counts()["newAccount"] == 1
        assert [account.key for account in rig.ca.accounts.values()] == [jws.jwk(rig.keys.key)]

    play(scenario)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_change_that_is_put_off(play: Play, status: int) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(Refusal(status, "serverInternal"), "3600")]
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["retryAfter"] == 3600
        assert "newAccount" not in rig.ca.counts()
        await rig.ask("ChangeKey")
        check_changed(rig)

    play(scenario)


def test_a_lookup_that_fails(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.ask("ChangeKey")
        rig.ca.faults["newAccount"] = [faults.lose_request] * 9
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.name == "org.acmed.Client.Unreachable"
        rig.ca.faults.clear()
        await rig.ask("ChangeKey")

    play(scenario)


def test_a_ca_that_cannot(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields.pop("keyChange")
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["message"] == "this CA has no keyChange"

    play(scenario, directory_is_known=False)
