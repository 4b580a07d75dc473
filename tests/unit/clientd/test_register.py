# SPDX-License-Identifier: LGPL-2.1-or-later
"""newAccount."""

import re
from dataclasses import replace
from typing import Any

import pytest

from acmed.config.model import ExternalBinding
from acmed.varlink import VarlinkError
from tests.unit.clientd.ca import Fault
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import broken_json, lose_answer, page, refuse
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
        ("userActionRequired", "open the address that the CA names.*/terms/2$"),
        ("externalAccountRequired", "external account binding.*--eab-key-id and --eab-hmac-file$"),
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


def test_a_posted_request_is_not_redirected(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newAccount"] = [lambda _: Reply(307, {"Location": f"{rig.ca.base}/newAccount"})]
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert f"redirects to {rig.ca.base}/newAccount" in caught.value.parameters["message"]
        assert rig.ca.counts()["newAccount"] == 1

    play(scenario, registered=False)


def test_an_account_that_is_known_to_another_host(play: Play) -> None:
    """The CA finds it by its key: 200, and not 201."""

    async def scenario(rig: Rig) -> None:
        known = rig.accounts["main"].uri
        rig.accounts["main"] = replace(rig.accounts["main"], uri=None)
        assert (await rig.register())["uri"] == known
        assert len(rig.ca.accounts) == 1

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "in_directory", "advised"),
    [
        ("externalAccountRequired", False, True),
        ("malformed", True, True),
        ("unauthorized", True, True),
        ("malformed", False, False),
        ("rateLimited", True, False),
    ],
)
@pytest.mark.parametrize("bound", [False, True])
def test_a_binding_that_is_missing(play: Play, kind: str, in_directory: bool, advised: bool, bound: bool) -> None:
    """CAs name it differently; one whose binding was sent knows best what is wrong with it."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields["meta"].update(externalAccountRequired=in_directory)
        status = 429 if kind == "rateLimited" else 400
        rig.ca.faults["newAccount"] = [refuse(Refusal(status, kind, "no binding"), "3600")]
        if bound:
            rig.accounts["main"] = replace(rig.accounts["main"], external=ExternalBinding("kid-1"))
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        detail = caught.value.parameters["detail"]
        assert detail.startswith("no binding")
        assert ("`acmectl account add main` with --eab-key-id and --eab-hmac-file" in detail) == (advised and not bound)
        assert ("'kid-1'" in detail) == (bound and kind == "unauthorized")

    play(scenario, registered=False)


def test_what_acme_keyd_adds_is_sent(play: Play) -> None:
    """The binding is in the payload that comes back, and not in the one that was given."""

    async def scenario(rig: Rig) -> None:
        rig.keys.binding = {"protected": "x", "payload": "y", "signature": "z"}
        await rig.register()
        assert rig.ca.payloads("newAccount")[0]["externalAccountBinding"] == rig.keys.binding

    play(scenario, registered=False)


@pytest.mark.parametrize("method", ["Register", "FindAccount"])
@pytest.mark.parametrize(
    ("faulty", "fault", "unsent"),
    [
        ("directory", page(404), True),
        ("newNonce", page(404), True),
        ("newAccount", lose_answer, None),
        ("newAccount", broken_json, None),
    ],
)
def test_whether_the_ca_was_asked_for_the_account(
    play: Play, method: str, faulty: str, fault: Fault, unsent: bool | None
) -> None:
    """Where it was and its answer is lost, it may have one."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults[faulty] = [fault] * 20
        with pytest.raises(VarlinkError) as caught:
            await rig.ask(method)
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters.get("unsent") == unsent

    play(scenario, registered=False, directory_is_known=False)
