# SPDX-License-Identifier: LGPL-2.1-or-later
"""Retry-After in all its forms, and what nothing makes us do faster."""

import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import PATIENT, QUICK, Rig, http01

STEPS = ["newOrder", "authz", "challenge", "finalize", "order", "certificate"]
RATE_LIMITED = Refusal(429, "rateLimited", "too many")


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


@pytest.mark.parametrize(
    ("fault", "longest"),
    [
        (faults.page(503, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT"), 86400),
        (faults.page(503, Retry_After="86399"), 86399),
        (faults.refuse(Refusal(503, "serverInternal"), "Fri, 01 Jan 2100 00:00:00 GMT"), 30 * 86400),
    ],
)
def test_what_is_not_the_cas_own_word_holds_for_a_day(play: Play, fault: Any, longest: int) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [fault]
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.name == "org.acmed.Client.Acme"
        assert caught.value.parameters["retryAfter"] == longest

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
        assert rig.ca.counts()["authz"] <= 1 + 5 + 1 / 0.1  # after 10, 10, 20, 40, 80 and then 100 ms each

    limits = replace(QUICK, first_poll=0.01, first_issuance_poll=0.01, slowest_poll=0.1)
    play(scenario, limits=limits, deadlines=replace(PATIENT, authorization=1))
