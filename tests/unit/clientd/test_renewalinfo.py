# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 9773."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import QUICK, Rig

CERT_ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
WINDOW = {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"}
START, END = 1735790400_000000, 1735876800_000000


async def ask(rig: Rig, info: Any = None, **headers: str) -> dict[str, Any]:
    rig.ca.resources = {"renewalInfo"}
    rig.ca.renewals[CERT_ID] = {"suggestedWindow": WINDOW} if info is None else info
    rig.ca.headers["renewalInfo"] = headers
    return await rig.ask("RenewalInfo", certId=CERT_ID)


def test_the_window(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        info = {"suggestedWindow": WINDOW, "explanationURL": "https://ca.example/why", "other": [1]}
        assert await ask(rig, info, **{"Retry-After": "21600"}) == {
            "start": START,
            "end": END,
            "explanationUrl": "https://ca.example/why",
            "retryAfter": 21600,
        }
        assert rig.ca.counts() == {"directory": 1, "renewalInfo": 1}
        assert rig.ca.requests[-1].asked.path == f"/renewalInfo/{CERT_ID}"
        assert rig.keys.signed == []

    play(scenario, registered=False)


def test_a_ca_without(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        found = await rig.ask("RenewalInfo", certId=CERT_ID)
        assert found == {"start": None, "end": None, "explanationUrl": None, "retryAfter": 86400}
        assert "renewalInfo" not in rig.ca.counts()

    play(scenario)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, 21600),
        ({"Retry-After": "soon"}, 21600),
        ({"Retry-After": "0"}, 60),
        ({"Retry-After": "59"}, 60),
        ({"Retry-After": "61"}, 61),
        ({"Retry-After": "999999999"}, 86400),
        ({"Retry-After": formatdate(1000, usegmt=True), "Date": formatdate(900, usegmt=True)}, 100),
        ({"Retry-After": formatdate(0, usegmt=True)}, 60),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_when_to_ask_again(
    play: Play, monkeypatch: pytest.MonkeyPatch, zone: str, value: dict[str, str], expected: int
) -> None:
    async def scenario(rig: Rig) -> None:
        assert (await ask(rig, **value))["retryAfter"] == expected

    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        play(scenario, directory_is_known=False)
    time.tzset()


@pytest.mark.parametrize(("asked", "told"), [("2592000", 86400), ("3600", 3600)])
def test_a_refusal_does_not_silence_it_for_weeks(play: Play, asked: str, told: int) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["renewalInfo"] = [faults.refuse(Refusal(429, "rateLimited"), asked)]
        with pytest.raises(VarlinkError) as caught:
            await ask(rig)
        assert caught.value.parameters["retryAfter"] == told

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, "no window"),
        ({"suggestedWindow": []}, "no window"),
        ({"suggestedWindow": {}}, "cannot be read"),
        ({"suggestedWindow": WINDOW | {"end": 5}}, "cannot be read"),
        ({"suggestedWindow": WINDOW | {"end": "tomorrow"}}, "cannot be read"),
        ({"suggestedWindow": WINDOW | {"end": WINDOW["start"]}}, "ends before it begins"),
        ({"suggestedWindow": {"start": WINDOW["end"], "end": WINDOW["start"]}}, "ends before it begins"),
    ],
)
def test_what_is_no_window(play: Play, info: Any, words: str) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await ask(rig, info)
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert words in caught.value.parameters["message"]
        assert rig.ca.counts()["renewalInfo"] == 1

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize(
    "url", [5, "", "javascript:alert(1)", "/why", "https://ca.example/\nwhy", "https://é", "https://" + "a" * 9999]
)
def test_an_explanation_that_is_no_web_page(play: Play, url: Any) -> None:
    async def scenario(rig: Rig) -> None:
        found = await ask(rig, {"suggestedWindow": WINDOW, "explanationURL": url})
        assert (found["start"], found["explanationUrl"]) == (START, None)

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("status", [404, 409, 400])
def test_a_certificate_that_the_ca_does_not_know(play: Play, status: int) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["renewalInfo"] = [faults.refuse(Refusal(status, "malformed", "unknown"))]
        with pytest.raises(VarlinkError) as caught:
            await ask(rig)
        assert caught.value.name == "org.acmed.Client.Acme"
        assert caught.value.parameters["status"] == status
        assert rig.ca.counts() == {"directory": 1, "renewalInfo": 1}

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.broken_json, "no JSON object"),
        (faults.page(200), "no JSON object"),
        (faults.huge_answer, "more than"),
        (faults.redirect("https://evil.example/"), "not followed"),
    ],
)
def test_answers_that_are_none(play: Play, fault: Any, words: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["renewalInfo"] = [fault] * 9
        with pytest.raises(VarlinkError) as caught:
            await ask(rig)
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert words in caught.value.parameters["message"]

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("fault", [faults.lose_answer, faults.page(502), faults.cut_answer])
def test_passing_faults_are_waited_out(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["renewalInfo"] = [fault] * len(QUICK.backoff)
        assert (await ask(rig))["start"] == START

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("cert_id", ["", "a", "a.b.c", "../a.b", "a.b?", "a=.b", "é.b", "a" * 300 + ".b"])
def test_what_is_no_certid(play: Play, cert_id: str) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("RenewalInfo", certId=cert_id)
        assert caught.value.parameters == {"parameter": "certId"}
        assert rig.ca.requests == []

    play(scenario)
