# SPDX-License-Identifier: LGPL-2.1-or-later
"""CAs that take their time."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from acmed.clientd.errors import Unreachable
from acmed.clientd.orders.polling import together
from acmed.varlink import VarlinkError
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import refuse
from tests.unit.clientd.rig import PATIENT, QUICK, Rig, http01


def test_a_ca_that_never_validates(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.validation_polls = 10**9
        begun = await rig.order("a.example")
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun))
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert caught.value.parameters["step"] == "challenge"
        assert "a.example" in caught.value.parameters["message"]
        rig.ca.validation_polls = 1
        assert await rig.finalize(http01(begun))

    play(scenario, deadlines=replace(PATIENT, authorization=1))


def test_a_ca_that_never_issues(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.issuance_polls = 10**9
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert caught.value.parameters["step"] == "finalize"
        words = r"the order is still processing after \d+ s; the CA may still finish it"
        assert re.fullmatch(words, caught.value.parameters["message"])
        assert caught.value.parameters["retryAfter"] is None
        assert rig.kept()["status"] == "processing"
        rig.ca.issuance_polls = 1
        assert await rig.finalize([])

    play(scenario, deadlines=replace(PATIENT, finalize=1))


@pytest.mark.parametrize("kind", ["order", "authz"])
def test_a_wait_beyond_the_deadline_is_not_begun(play: Play, kind: str) -> None:
    """And is told: not that something was waited for, and until when it is in vain to come back."""

    async def scenario(rig: Rig) -> None:
        rig.ca.issuance_polls = 10**9
        rig.ca.validation_polls = 10**9 if kind == "authz" else 1
        begun = await rig.order()
        rig.ca.headers[kind] = {"Retry-After": "122400"}
        rig.ca.requests.clear()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun))
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert caught.value.parameters["retryAfter"] == 122400
        words = r"after \d+ s, and is to be asked again in 122400 s, which is past the 30 s for it"
        assert re.search(words, caught.value.parameters["message"])
        assert rig.ca.counts()[kind] == 1
        details = [step["detail"] for step in rig.steps]
        assert any(detail.endswith("waiting for the CA (Retry-After 122400 s)") for detail in details)

    play(scenario)


def test_what_a_ca_said_in_time_is_told_in_the_end(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.issuance_polls = 10**9
        rig.ca.headers["order"] = {"Retry-After": "1"}
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        parameters = caught.value.parameters
        assert parameters["retryAfter"] == 1
        assert "still processing after" in parameters["message"]

    play(scenario, deadlines=replace(PATIENT, finalize=2))


def test_ready_again_after_finalize(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        answers = [True, True, False]

        def edit(fields: dict[str, Any]) -> None:
            if answers.pop(0):
                fields["status"] = "ready"
                for order in rig.ca.orders.values():
                    order.status = "ready"

        rig.ca.edits["finalize"] = edit
        assert await rig.issue()
        assert rig.ca.counts()["finalize"] == 3

    play(scenario)


def test_ready_for_ever_after_finalize(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["finalize"] = [refuse(Refusal(403, "orderNotReady"))] * 99
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert rig.ca.counts()["finalize"] == QUICK.finalize_tries

    play(scenario)


def test_not_ready_at_first(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["finalize"] = [refuse(Refusal(403, "orderNotReady", "still thinking"))]
        assert await rig.issue()
        assert rig.ca.counts()["finalize"] == 2

    play(scenario)


class _Requests:
    """Of which each takes a few turns of the loop, and that of one number fails."""

    def __init__(self, fails: int | None = None) -> None:
        self._fails = fails
        self.begun, self.under_way, self.most = 0, 0, 0

    async def ask(self, number: int) -> int:
        self.begun += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if number == self._fails:
                raise Unreachable("https://ca.example/", "no route")
            for _ in range(9):
                await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        return number


def test_a_few_at_a_time() -> None:
    """A CA is not to get a hundred requests at once for an order of a hundred names."""
    requests = _Requests()
    assert asyncio.run(together(3, map(requests.ask, range(20)))) == [*range(20)]
    assert requests.most == 3


def test_nothing_more_is_asked_after_an_error() -> None:
    requests = _Requests(fails=1)

    async def scenario() -> None:
        with pytest.raises(Unreachable):
            await together(3, map(requests.ask, range(20)))
        assert requests.under_way == 0, "they are ended"

    asyncio.run(scenario())
    assert requests.begun <= 4, "but for the one whose turn it was"
