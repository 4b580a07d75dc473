# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an order may ask for besides names: to replace a certificate (RFC 9773), a profile, a begin, and an end."""

from dataclasses import replace
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import Rig, http01

CERT_ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
NAMES = {"identifiers": [{"type": "dns", "value": "a.example"}]}


def test_all_of_it_is_sent(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        times = {"notBefore": "2026-10-31T00:00:00Z", "notAfter": "2026-12-01T00:00:00Z"}
        wish: dict[str, Any] = {"profile": "shortlived", **times, "replaces": CERT_ID}
        begun = await rig.order(**wish)
        assert rig.ca.payloads("newOrder") == [NAMES | wish]
        assert await rig.finalize(http01(begun))

    play(scenario, directory_is_known=False)


def test_replaces_is_for_cas_with_renewal_information(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order(replaces=CERT_ID)
        assert (begun["order"], begun["created"], begun["replaced"]) == (None, False, False)
        assert "newOrder" not in rig.ca.counts()
        assert rig.kept() is None

    play(scenario)


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(409, "alreadyReplaced"),
        Refusal(409, "malformed"),
        Refusal(409, "conflict"),
        Refusal(404, "malformed"),
        Refusal(400, "malformed"),
        Refusal(403, "unauthorized"),
        Refusal(500, "serverInternal", "could not find an order for the given certificate"),
    ],
    ids=lambda refusal: f"{refusal.status}-{refusal.kind}",
)
def test_a_refused_replacement_is_no_order_until_that_is_asked_for(play: Play, refusal: Refusal) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        rig.ca.replaced[CERT_ID] = refusal
        begun = await rig.order(replaces=CERT_ID, profile="shortlived")
        assert (begun["order"], begun["created"]) == (None, False)
        begun = await rig.order(profile="shortlived")
        assert (begun["created"], begun["replaced"]) == (True, False)
        with_profile = NAMES | {"profile": "shortlived"}
        assert rig.ca.payloads("newOrder") == [with_profile | {"replaces": CERT_ID}, with_profile]
        assert await rig.finalize(http01(begun))

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize(
    "fault",
    [
        faults.refuse(Refusal(429, "rateLimited"), "3600"),
        faults.refuse(Refusal(503, "serverInternal"), "3600"),
        faults.refuse(Refusal(400, "rejectedIdentifier")),
        faults.refuse(Refusal(403, "caa")),
        faults.refuse(Refusal(403, "userActionRequired")),
        faults.refuse(Refusal(400, "accountDoesNotExist")),
        faults.refuse(Refusal(400, "invalidProfile")),
        faults.page(502),
    ],
)
def test_other_refusals_cost_one_request(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        rig.ca.faults["newOrder"] = [fault]
        with pytest.raises(VarlinkError):
            await rig.order(replaces=CERT_ID)
        assert rig.ca.counts()["newOrder"] == 1

    play(scenario, directory_is_known=False)


def test_what_it_was_made_as_is_kept(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        first = await rig.order(replaces=CERT_ID)
        assert (first["created"], first["replaced"]) == (True, True)
        for again in (await rig.resume(), await rig.order()):
            assert (again["order"], again["replaced"]) == (first["order"], True)
        await rig.finalize(http01(first))
        assert (await rig.resume())["replaced"]  # it is there until it is dropped

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("shown", [None, "", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyF", 5])
def test_a_ca_that_does_not_say_that_it_is_a_replacement(play: Play, shown: Any) -> None:
    """RFC 9773 section 5: it MUST, where it takes it as one."""

    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        rig.ca.edits["newOrder"] = lambda fields: fields.update(replaces=shown)
        begun = await rig.order(replaces=CERT_ID)
        assert (begun["created"], begun["replaced"]) == (True, False)
        assert not (await rig.resume())["replaced"]

    play(scenario, directory_is_known=False)


def test_a_replacement_whose_answer_is_garbled(play: Play) -> None:
    """The order itself says what it is."""

    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        rig.ca.faults["newOrder"] = [lambda work: replace(work(), body=b'{"status": "pend')]
        assert (await rig.order(replaces=CERT_ID))["replaced"]

    play(scenario, directory_is_known=False)


def test_an_unknown_profile(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.order(profile="shortlivd")
        parameters = caught.value.parameters
        assert parameters["type"] == "invalidProfile"
        assert parameters["detail"] == "profile shortlivd is unknown: this CA has classic, shortlived"

    play(scenario)


def test_a_profile_where_there_are_none(play: Play) -> None:
    """Such a CA would issue whatever it likes."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields["meta"].pop("profiles")
        with pytest.raises(VarlinkError) as caught:
            await rig.order(profile="shortlived")
        assert caught.value.parameters["type"] == "invalidProfile"
        assert caught.value.parameters["detail"] == "this CA has no profiles, and 'shortlived' is asked for"
        assert "newOrder" not in rig.ca.counts()

    play(scenario, directory_is_known=False)


def test_an_order_for_another_profile_is_not_resumed(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.order(profile="classic")
        rig.ca.orders[first["order"]].status = "ready"
        second = await rig.order(profile="shortlived")
        assert second["created"]
        assert second["order"] != first["order"]
        assert not (await rig.order(profile="shortlived"))["created"]

    play(scenario)
