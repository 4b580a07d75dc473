# SPDX-License-Identifier: LGPL-2.1-or-later
"""Register and Revoke."""

import asyncio
import base64
import re
from dataclasses import replace
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.ca import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import lose_answer, refuse
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import Rig


def test_a_new_account(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        reply = await rig.client.call("Register", timeout=60, job=1, account="main")
        uri = next(iter(rig.ca.accounts))
        assert reply == {"uri": uri, "status": "valid", "termsOfService": f"{rig.ca.base}/terms"}
        assert rig.ca.payloads("newAccount") == [{"termsOfServiceAgreed": True, "contact": ["mailto:a@a.example"]}]
        assert rig.ca.counts() == {"directory": 1, "newNonce": 1, "newAccount": 1}

    play(scenario, registered=False)


def test_a_known_account(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        uri = rig.accounts["main"].uri
        assert (await rig.register())["uri"] == uri
        assert len(rig.ca.accounts) == 1

    play(scenario)


def test_a_lost_answer_leaves_one_account(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newAccount"] = [lose_answer]
        await rig.register()
        assert len(rig.ca.accounts) == 1
        assert rig.ca.counts()["newAccount"] == 2

    play(scenario, registered=False)


def test_an_account_is_known_as_soon_as_it_is_configured(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.client.call("Register", timeout=60, job=1, account="other")
        assert caught.value.name == "org.acmed.Client.NoSuchAccount"
        rig.accounts["other"] = replace(rig.accounts["main"], name="other")
        await rig.register("other")

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("userActionRequired", "open the address that the CA names.*terms-of-service"),
        ("externalAccountRequired", "external account binding"),
        ("invalidContact", "^no$"),
    ],
)
def test_what_the_ca_wants_first(play: Play, kind: str, words: str) -> None:
    async def scenario(rig: Rig) -> VarlinkError:
        rig.ca.headers["newAccount"] = {"Link": f'<{rig.ca.base}/terms/2>;rel="terms-of-service"'}
        rig.ca.faults["newAccount"] = [refuse(Refusal(403, kind))]
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        return caught.value

    error = play(scenario, registered=False)
    assert (error.name, error.parameters["type"]) == ("org.acmed.Client.Acme", kind)
    assert re.search(words, error.parameters["detail"])


@pytest.mark.parametrize("location", [None, "https://evil.example/account/1", "http://localhost/1", "/account/1", "x"])
def test_an_account_url_of_another_origin(play: Play, location: str | None) -> None:
    async def scenario(rig: Rig) -> None:
        def answer(work: Any) -> Reply:
            reply: Reply = work()
            headers = {name: value for name, value in reply.headers.items() if name != "Location"}
            return replace(reply, headers=headers | ({"Location": location} if location else {}))

        rig.ca.faults["newAccount"] = [answer]
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"

    play(scenario, registered=False)


def test_the_directory_is_of_its_own_origin(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields.update(newAccount="https://evil.example/newAccount")
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters["url"] == "https://evil.example/newAccount"
        assert rig.keys.signed == []

    play(scenario, registered=False)


@pytest.mark.parametrize(
    ("target", "fine"),
    [
        ("/directory/v2", True),
        ("https://evil.example/directory", False),
        ("http://localhost/directory", False),
        ("https://localhost:1/directory", False),
        ("", False),
    ],
)
def test_the_directory_may_move_within_its_origin(play: Play, target: str, fine: bool) -> None:
    async def scenario(rig: Rig) -> None:
        redirect = Reply(302, {"Location": target})
        rig.ca.faults["directory"] = [lambda _: redirect] * (1 if fine else 9)
        if fine:
            await rig.register()
            return
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "redirects" in caught.value.parameters["message"]

    play(scenario, registered=False)


def test_a_posted_request_is_not_redirected(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newAccount"] = [lambda _: Reply(307, {"Location": f"{rig.ca.base}/newAccount"})]
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert f"redirects to {rig.ca.base}/newAccount" in caught.value.parameters["message"]
        assert rig.ca.counts()["newAccount"] == 1

    play(scenario, registered=False)


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


async def revoke(rig: Rig) -> None:
    der = base64.b64encode(b"a certificate").decode()
    await rig.client.call("Revoke", timeout=60, job=1, account="main", certificate="www", der=der, reason=4)


def test_revoked_once_and_again(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await revoke(rig)
        await revoke(rig)
        expected = {"certificate": base64.urlsafe_b64encode(b"a certificate").decode().rstrip("="), "reason": 4}
        assert rig.ca.payloads("revokeCert") == [expected] * 2

    play(scenario)


def test_a_revocation_that_is_refused(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["revokeCert"] = [refuse(Refusal(403, "unauthorized", "not yours"))]
        with pytest.raises(VarlinkError) as caught:
            await revoke(rig)
        assert caught.value.parameters["type"] == "unauthorized"

    play(scenario)


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
