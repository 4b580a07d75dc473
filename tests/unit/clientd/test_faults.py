# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the CA, or of the way to it, at each step of an order."""

import asyncio
import json
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from acmed import journal
from acmed.varlink import VarlinkError
from tests.unit.clientd import faults, jws
from tests.unit.clientd.ca import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import QUICK, Rig, http01

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


@pytest.mark.parametrize("kind", ["newOrder", "finalize"])
def test_a_500_of_what_is_not_repeated(play: Play, kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults[kind] = [faults.refuse(Refusal(500, "serverInternal"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert (caught.value.parameters["status"], caught.value.parameters["final"]) == (500, False)
        assert rig.ca.counts()[kind] == 1

    play(scenario)


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("value", ["3600", "date"])
def test_a_long_wait_is_the_callers(play: Play, kind: str, value: str) -> None:
    async def scenario(rig: Rig) -> None:
        moment = formatdate(time.time() + 3600, usegmt=True) if value == "date" else value
        rig.ca.faults[kind] = [faults.refuse(RATE_LIMITED, moment)]
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        parameters = caught.value.parameters
        assert (caught.value.name, parameters["type"], parameters["status"]) == (
            "org.acmed.Client.Acme",
            "rateLimited",
            429,
        )
        assert 3500 <= parameters["retryAfter"] <= 3600
        assert rig.ca.faults[kind] == []
        assert not parameters["final"]
        assert await rig.issue()

    play(scenario)


@pytest.mark.parametrize("fault", [faults.refuse(RATE_LIMITED, "1"), faults.page(503, Retry_After="1")])
def test_a_short_wait_is_waited(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [fault]
        begun = time.monotonic()
        assert await rig.order()
        assert time.monotonic() - begun >= 1

    play(scenario)


@pytest.mark.parametrize("value", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_short_waits_end(play: Play, value: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [faults.refuse(RATE_LIMITED, value)] * 99
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["retryAfter"] == 0
        assert rig.ca.counts()["newOrder"] == QUICK.waits + 1

    play(scenario)


@pytest.mark.parametrize(("zone", "form"), [("UTC", "integer"), ("America/New_York", "date"), ("Asia/Tokyo", "date")])
def test_polls_come_when_they_were_asked_for(play: Play, monkeypatch: pytest.MonkeyPatch, zone: str, form: str) -> None:
    """In each time zone; acme.client waits for hours or not at all."""

    async def scenario(rig: Rig) -> None:
        times: list[float] = []

        def note(work: faults.Work) -> Any:
            times.append(time.monotonic())
            reply = work()
            now = time.time()
            later = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 1, usegmt=True)}
            return replace(reply, headers=reply.headers | (later if form == "date" else {"Retry-After": "1"}))

        rig.ca.faults["order"] = [note] * 2
        rig.ca.issuance_polls = 2
        assert await rig.issue()
        assert 1 <= times[1] - times[0] < 20

    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        play(scenario)
    time.tzset()


@pytest.mark.parametrize("value", [None, "0", "-5", "nonsense", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_no_answer_makes_a_hot_loop(play: Play, value: str | None) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.validation_polls = rig.ca.issuance_polls = 10**9
        headers = {"Retry-After": value} if value else {}
        rig.ca.headers = {"authz": headers, "challenge": headers}
        begun = await rig.order()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun))
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert rig.ca.counts()["authz"] <= 1 + 4 + 0.5 / 0.05  # after 10, 10, 20, 40 and then 50 ms each

    play(scenario, limits=replace(QUICK, authorize=0.5, first_poll=0.01, first_issuance_poll=0.01, slowest_poll=0.05))


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
