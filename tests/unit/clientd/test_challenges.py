# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which challenges can be answered, and what happens when they are."""

from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.ca_parts import PREFIX, Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import lose_answer, refuse
from tests.unit.clientd.rig import Rig, http01

DNS = {"type": f"{PREFIX}dns", "detail": "NXDOMAIN", "status": 400}
CONNECTION = {"type": f"{PREFIX}connection", "detail": "refused", "status": 400}


def test_challenges_that_nobody_knows(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            base = fields["challenges"][0]["url"]
            fields["challenges"] += [
                {"type": "telepathy-01", "url": f"{base}/t", "token": "abc", "waves": {}},
                {"type": "http-01", "url": f"{base}/h", "token": "../../etc/passwd"},
                {"type": "http-01", "url": f"{base}/v", "token": "abc", "status": "invalid"},
                7,
            ]

        rig.ca.edits["authz"] = edit
        begun = await rig.order()
        assert [item["type"] for item in begun["challenges"]] == ["dns-01", "http-01", "telepathy-01"]
        assert await rig.finalize(http01(begun)[:1])

    play(scenario)


@pytest.mark.parametrize("issuers", [["ca.example"], [f"ca{number}.example" for number in range(10)], ["local"]])
def test_a_record_that_lasts(play: Play, issuers: list[str]) -> None:
    """dns-persist-01 has no token; the second draft tells the account, too."""

    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            url = fields["challenges"][0]["url"]
            uri = rig.accounts["main"].uri
            persistent = {"type": "dns-persist-01", "url": f"{url}/p", "issuer-domain-names": issuers}
            fields["challenges"] += [persistent, persistent | {"url": f"{url}/q", "accounturi": uri, "token": "odd"}]

        rig.ca.edits["authz"] = edit
        begun = await rig.order()
        assert [item["issuers"] for item in begun["challenges"]] == [[], [], issuers, issuers]
        for item in begun["challenges"][2:]:
            assert (item["type"], item["token"], item["keyAuthorization"]) == ("dns-persist-01", None, None)
        assert await rig.finalize(http01(begun))

    play(scenario)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"issuer-domain-names": []},
        {"issuer-domain-names": "ca.example"},
        {"issuer-domain-names": [f"ca{number}.example" for number in range(11)]},
        {"issuer-domain-names": ["ca.example", "CA.example"]},
        {"issuer-domain-names": ["ca.example."]},
        {"issuer-domain-names": ["bücher.example"]},
        {"issuer-domain-names": ["ca.example; policy=wildcard"]},
        {"issuer-domain-names": ["ca.example", 5]},
        {"issuer-domain-names": [""]},
        {"issuer-domain-names": ["ca.example"], "accounturi": "https://localhost/account/of-another"},
    ],
)
def test_a_record_that_lasts_but_is_none(play: Play, fields: dict[str, Any]) -> None:
    async def scenario(rig: Rig) -> None:
        challenge = {"type": "dns-persist-01", "url": f"{rig.ca.base}/p"} | fields
        rig.ca.edits["authz"] = lambda found: found["challenges"].append(challenge)
        begun = await rig.order()
        assert [item["type"] for item in begun["challenges"]] == ["dns-01", "http-01"]

    play(scenario)


def test_nothing_that_can_be_answered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        challenge = {"type": "dns-persist-01", "url": f"{rig.ca.base}/p"}
        rig.ca.edits["authz"] = lambda fields: fields.update(challenges=[challenge])
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["detail"] == "a.example: no challenge can be answered (offered: dns-persist-01)"

    play(scenario)


def test_a_name_whose_challenges_were_left_out(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order("a.example", "b.example")
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun)[:1])
        assert "b.example is pending, and none of its challenges" in caught.value.parameters["detail"]
        assert not caught.value.parameters["final"]

    play(scenario)


def test_a_challenge_whose_answer_is_lost(play: Play) -> None:
    """It comes again, and is refused as the challenge is being processed."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["challenge"] = [lose_answer]
        rig.ca.validation_polls = 3
        assert await rig.issue()
        assert rig.ca.counts()["challenge"] == 2

    play(scenario)


def test_a_challenge_that_is_refused(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["challenge"] = [refuse(Refusal(403, "unauthorized", "paused"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert (caught.value.parameters["type"], caught.value.parameters["detail"]) == ("unauthorized", "paused")

    play(scenario)


def test_a_name_that_fails(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.verdicts["b.example"] = DNS
        with pytest.raises(VarlinkError) as caught:
            await rig.issue("a.example", "b.example")
        parameters = caught.value.parameters
        assert (parameters["type"], parameters["detail"]) == ("dns", "b.example: NXDOMAIN")
        assert parameters["final"]
        assert parameters["subproblems"] == [
            {"identifier": {"type": "dns", "value": "b.example"}, "type": "dns", "detail": "NXDOMAIN"}
        ]
        assert rig.kept() is None

    play(scenario)


def test_all_names_that_fail_are_named(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.verdicts |= {"*.b.example": DNS, "c.example": CONNECTION, "192.0.2.1": CONNECTION}
        with pytest.raises(VarlinkError) as caught:
            await rig.issue("a.example", "*.b.example", "c.example", "192.0.2.1")
        parameters = caught.value.parameters
        assert parameters["type"] == "compound"
        assert parameters["detail"] == "*.b.example: NXDOMAIN; c.example: refused; 192.0.2.1: refused"
        assert [item["type"] for item in parameters["subproblems"]] == ["dns", "connection", "connection"]

    play(scenario)


def test_an_authorization_that_is_deactivated_meanwhile(play: Play) -> None:
    """acme.client takes this one for a success."""

    async def scenario(rig: Rig) -> None:
        begun = await rig.order()
        rig.ca.edits["authz"] = lambda fields: fields.update(status="deactivated")
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun))
        assert caught.value.parameters["detail"] == "a.example: the authorization is deactivated"
        assert caught.value.parameters["final"]

    play(scenario)
