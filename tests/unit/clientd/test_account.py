# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts, but for their keys."""

from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import jws
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import lose_answer, page, refuse
from tests.unit.clientd.rig import Rig


def test_no_such_account_at_the_ca(play: Play) -> None:
    """As after a private CA has lost its database."""

    async def scenario(rig: Rig) -> None:
        rig.ca.accounts.clear()
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["type"] == "accountDoesNotExist"
        assert "`acmectl account add main` again" in caught.value.parameters["detail"]

    play(scenario)


def test_an_account_that_was_never_registered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["type"] == "accountDoesNotExist"
        assert rig.ca.requests == []

    play(scenario, registered=False)


def test_an_account_is_found_by_its_key(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        uri = rig.ca.open_account(jws.jwk(rig.keys.key))
        assert await rig.ask("FindAccount") == {"uri": uri, "status": "valid"}
        assert rig.ca.payloads("newAccount") == [{"onlyReturnExisting": True}]

    play(scenario, registered=False)


def test_an_account_that_is_not_found_is_not_made(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("FindAccount")
        assert caught.value.parameters["type"] == "accountDoesNotExist"
        assert rig.ca.accounts == {}

    play(scenario, registered=False)


def test_the_account_as_the_ca_has_it(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        assert await rig.ask("ReadAccount") == {"status": "valid", "contact": ["mailto:a@a.example"]}
        assert rig.ca.payloads("account") == [""]

    play(scenario)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"contact": None}, {"status": "valid", "contact": []}),
        ({"contact": [5, "mailto:b@b.example"]}, {"status": "valid", "contact": ["mailto:b@b.example"]}),
        ({"status": "revoked"}, {"status": "revoked", "contact": ["mailto:a@a.example"]}),
    ],
)
def test_an_odd_account(play: Play, change: dict[str, Any], expected: dict[str, Any]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["account"] = lambda fields: fields.update(change)
        assert await rig.ask("ReadAccount") == expected

    play(scenario)


def test_an_account_without_a_status_that_is_text(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["account"] = lambda fields: fields.update(status=5)
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ReadAccount")
        assert caught.value.name == "org.acmed.Client.Unreachable"

    play(scenario)


@pytest.mark.parametrize("fault", [None, lose_answer, page(502)])
def test_other_contacts(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["account"] = [fault] if fault else []
        assert await rig.ask("UpdateAccount", contact=["mailto:b@b.example"]) == {}
        assert (await rig.ask("ReadAccount"))["contact"] == ["mailto:b@b.example"]

    play(scenario)


@pytest.mark.parametrize("fault", [None, lose_answer, page(502)])
def test_the_end_of_an_account(play: Play, fault: Any) -> None:
    """A lost answer makes the second request one of an account that has ended; so does a second call."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["account"] = [fault] if fault else []
        for _ in range(2):
            assert await rig.ask("DeactivateAccount") == {}
        assert [account.status for account in rig.ca.accounts.values()] == ["deactivated"]
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert "deactivated" in caught.value.parameters["detail"]

    play(scenario)


def test_an_end_that_is_refused(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["account"] = [refuse(Refusal(403, "unauthorized", "you have certificates"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("DeactivateAccount")
        assert caught.value.parameters["detail"] == "you have certificates"

    play(scenario)


@pytest.mark.parametrize("method", ["ReadAccount", "UpdateAccount", "DeactivateAccount", "ChangeKey"])
def test_an_account_that_is_not_registered_here(play: Play, method: str) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.ask(method, **({"contact": []} if method == "UpdateAccount" else {}))
        assert caught.value.parameters["type"] == "accountDoesNotExist"
        assert "run `acmectl account add main`" in caught.value.parameters["detail"]
        assert rig.ca.requests == []

    play(scenario, registered=False)
