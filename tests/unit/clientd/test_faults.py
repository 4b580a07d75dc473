# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the CA, or of the way to it, at each step of an order."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from acmed import journal
from acmed.varlink import VarlinkError
from tests.unit.clientd import faults, jws
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import PATIENT, QUICK, Rig

pytestmark = pytest.mark.slow

STEPS = ["newOrder", "authz", "challenge", "finalize", "order", "certificate"]
RATE_LIMITED = Refusal(429, "rateLimited", "too many")


@pytest.mark.parametrize("rejection", [0.05, 0.15, 0.5])
def test_nonces_are_rejected(play: Play, rejection: float) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.nonce_rejection = rejection
        jobs = (rig.issue(f"a{number}.example", f"b{number}.example", certificate=f"n{number}") for number in range(8))
        assert all(await asyncio.gather(*jobs))
        # Each rejection came with a nonce, and that was used: newNonce was asked only before anything was answered.
        assert rig.ca.counts().get("newNonce", 0) <= 8 * 2

    play(scenario)


def test_rejections_without_a_nonce(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.nonces_in_errors = False
        rig.ca.nonce_rejection = 0.3
        assert await rig.issue()
        assert rig.ca.counts()["newNonce"] >= 1

    play(scenario)


def test_all_nonces_are_rejected(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.nonce_rejection = 1.0
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["type"] == "badNonce"
        assert rig.ca.counts() == {"newOrder": QUICK.nonce_tries}

    play(scenario)


def test_the_nonce_of_a_refusal_is_used(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.order()
        rig.ca.orders.clear()
        await rig.order()
        assert "newNonce" not in rig.ca.counts()

    play(scenario)


def test_a_new_nonce_that_is_none(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newNonce"] = [faults.page(204)] * 9
        with pytest.raises(VarlinkError) as caught:
            await rig.client.call("Register", timeout=60, job=1, account="main")
        assert "without a usable nonce" in caught.value.parameters["message"]

    play(scenario, registered=False)


@pytest.mark.parametrize("kind", [*STEPS, "newNonce", "directory"])
@pytest.mark.parametrize("fault", [faults.lose_request, faults.lose_answer, faults.cut_answer])
def test_lost_and_asked_again(play: Play, kind: str, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [fault]
        await rig.register()
        assert await rig.issue()
        assert rig.ca.faults[kind] == []

    play(scenario, registered=False)


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("fault", [faults.lose_request, faults.lose_answer])
def test_each_request_in_turn_is_lost(play: Play, number: int, fault: Any) -> None:
    """Of the nine that a cold start costs; the answer to it costs one more, and a polled order perhaps another."""

    async def scenario(rig: Rig) -> None:
        rig.ca.fault_at = (number, fault)
        assert await rig.issue()
        assert 9 < len(rig.ca.requests) <= 11
        assert len(rig.ca.orders) == 1
        assert rig.ca.counts()["finalize"] <= 2

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("kind", [*STEPS, "directory"])
@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", ""])
def test_content_types_do_not_matter(play: Play, kind: str, content_type: str) -> None:
    """What is in the body does."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [lambda work: _typed(work(), content_type)] * 2
        assert await rig.issue()

    play(scenario, directory_is_known=False)


def _typed(reply: Any, content_type: str) -> Any:
    return replace(reply, headers=reply.headers | {"Content-Type": content_type})


@pytest.mark.parametrize("kind", ["directory", "newOrder", "certificate"])
def test_an_answer_that_never_comes(play: Play, kind: str) -> None:
    """The account's own deadline ends it."""

    async def scenario(rig: Rig) -> None:
        never = asyncio.Event()
        rig.ca.faults[kind] = [lambda work: replace(work(), when=never)]
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "no whole answer within" in caught.value.parameters["message"]
        assert rig.ca.counts()[kind] == 1
        assert await rig.issue()

    play(scenario, deadlines=replace(PATIENT, request=1), directory_is_known=False)


@pytest.mark.parametrize("kind", STEPS)
def test_lost_again_and_again(play: Play, kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [faults.lose_request] * 99
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert 99 - len(rig.ca.faults[kind]) == len(QUICK.backoff) + 1
        rig.ca.faults.clear()
        assert await rig.issue()
        assert len(rig.ca.orders) == 1

    play(scenario)


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.page(502), "502 Bad Gateway with text/html"),
        (faults.page(418), "418 I'm a Teapot with text/html"),
        (faults.huge_answer, "more than"),
        (faults.redirect("https://evil.example/"), "redirects to https://evil.example/"),
        (faults.redirect("/elsewhere"), "redirects to /elsewhere"),
    ],
)
def test_answers_that_are_none(play: Play, kind: str, fault: Any, words: str) -> None:
    """An error that says where and what, with the order kept; and no request of a foreign host."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [fault] * 99
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters["url"].startswith(f"{rig.ca.base}/{kind}")
        assert words in caught.value.parameters["message"]
        rig.ca.faults.clear()
        assert await rig.issue()

    play(scenario)


@pytest.mark.parametrize("kind", ["newOrder", "authz", "finalize", "order", "certificate"])
def test_json_that_is_broken(play: Play, kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [faults.broken_json]
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters["message"].startswith("answered ")
        assert await rig.issue()

    play(scenario)


def test_what_a_challenge_answers_does_not_matter(play: Play) -> None:
    """The authorization tells."""

    async def scenario(rig: Rig) -> None:
        def garble(work: faults.Work) -> Any:
            return replace(work(), body=b"{{{")

        rig.ca.faults["challenge"] = [garble]
        assert await rig.issue()

    play(scenario)


@pytest.mark.parametrize("kind", ["authz", "challenge", "order", "certificate"])
def test_a_passing_500_of_what_may_be_repeated(play: Play, kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [faults.page(500), faults.refuse(Refusal(500, "serverInternal"))]
        assert await rig.issue()

    play(scenario)


def test_a_passing_500_of_newnonce(play: Play) -> None:
    """Also where the request that it is for is not repeated: that one was not sent."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newNonce"] = [faults.page(500), faults.page(502)]
        assert await rig.issue()
        assert rig.ca.counts()["newNonce"] == 3
        assert rig.ca.counts()["newOrder"] == 1

    play(scenario, directory_is_known=False)


def test_newnonce_fails_again_and_again(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newNonce"] = [faults.page(502)] * 99
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert "/newNonce" in caught.value.parameters["url"]
        assert rig.ca.counts() == {"directory": 1, "newNonce": len(QUICK.backoff) + 1}

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("kind", ["newOrder", "finalize"])
def test_a_500_of_what_is_not_repeated(play: Play, kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [faults.refuse(Refusal(500, "serverInternal"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert (caught.value.parameters["status"], caught.value.parameters["final"]) == (500, False)
        assert rig.ca.counts()[kind] == 1

    play(scenario)


def test_the_journal_has_no_signature_and_no_nonce(play: Play, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario(rig: Rig) -> set[str]:
        await rig.issue()
        return {text for request in rig.ca.requests if request.asked.body for text in _secrets(request.asked.body)}

    before = journal.level()
    journal.setup("acme-clientd", "debug")
    try:
        secrets = play(scenario)
    finally:
        journal.setup("acmed", before)
    log = capfd.readouterr().err
    assert len(secrets) == 14
    assert [text for text in secrets if text in log] == []
    for words in (
        '{"identifiers": [{"type": "dns", "value": "a.example"}]} -> 201 Created application/json',
        "http-01-",
    ):
        assert words in log


def _secrets(body: bytes) -> tuple[str, str]:
    """The signature and the nonce of a JWS."""
    message = json.loads(body)
    return message["signature"], json.loads(jws.decode(message["protected"]))["nonce"]


def test_each_request_says_who_asks(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.register()
        await rig.issue()
        for request in rig.ca.requests:
            assert request.asked.headers["user-agent"].startswith("acmed/")

    play(scenario, registered=False)
