# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that are validated without a certificate: nothing here is ever finalized."""

from dataclasses import replace
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca_parts import PREFIX, Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import CSR, PATIENT, Rig, http01

EARLY, LATE = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00+01:00"
EARLY_MICROSECONDS = 1893456000_000000


@pytest.fixture(params=["newAuthz", "newOrder"])
def resources(request: pytest.FixtureRequest) -> set[str]:
    """What a CA has besides newOrder."""
    return {"newAuthz"} if request.param == "newAuthz" else set()


def test_names_are_validated(play: Play, resources: set[str]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources
        begun = await rig.order("a.example", "b.example", csr=None)
        assert begun["created"]
        assert bool(begun["order"]) != bool(resources)
        for url, moment in zip(rig.ca.authorizations, (LATE, EARLY), strict=True):
            rig.ca.authorizations[url].expires = moment
        await rig.finalize(http01(begun), csr=None)
        last = rig.steps[-1]
        assert (last["done"], last["chain"], last["expires"]) == (True, None, EARLY_MICROSECONDS)
        assert {step["step"] for step in rig.steps} == {"challenge"}
        counts = rig.ca.counts()
        assert counts.get("newAuthz", 0) == (2 if resources else 0)
        assert counts.get("newOrder", 0) == (0 if resources else 1)
        assert "finalize" not in counts
        assert rig.kept()["csr_sha256"] is None

    play(scenario, directory_is_known=False)


def test_a_wildcard_needs_an_order(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"newAuthz"}
        await rig.authorize("a.example", "*.a.example")
        assert rig.ca.counts()["newOrder"] == 1
        assert "newAuthz" not in rig.ca.counts()

    play(scenario, directory_is_known=False)


def test_what_is_valid_already(play: Play, resources: set[str]) -> None:
    """The order is ready at once; what is asked then is only until when."""

    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources

        def validate(work: faults.Work) -> Any:
            reply = work()
            for item in rig.ca.authorizations.values():
                item.status, item.expires = "valid", EARLY
            return reply if resources else work()  # an order says that it is ready; an authorization is read later

        rig.ca.faults["newAuthz" if resources else "newOrder"] = [validate]
        assert (await rig.order("a.example", csr=None))["challenges"] == []
        await rig.finalize([], csr=None)
        assert rig.steps[-1]["expires"] == EARLY_MICROSECONDS
        assert "challenge" not in rig.ca.counts()
        assert rig.ca.counts()["authz"] == 1

    play(scenario, directory_is_known=False)


def test_resumed(play: Play, resources: set[str]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources
        first = await rig.order("a.example", "b.example", csr=None)
        again = await rig.order("a.example", "b.example", csr=None)
        assert not again["created"]
        assert again["challenges"] == first["challenges"]
        await rig.finalize(http01(again), csr=None)
        after = await rig.order("a.example", "b.example", csr=None)
        assert (after["created"], after["challenges"]) == (False, [])
        await rig.finalize([], csr=None)
        assert len(rig.ca.authorizations) == 2

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("loss", ["expired", "revoked", "deactivated", "404"])
def test_what_has_run_out_is_asked_for_again(play: Play, resources: set[str], loss: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources
        await rig.authorize("a.example")
        if loss == "404":
            rig.ca.authorizations.clear()
            rig.ca.orders.clear()
        else:
            next(iter(rig.ca.authorizations.values())).status = loss
            for order in rig.ca.orders.values():
                order.status = "invalid"
        begun = await rig.order("a.example", csr=None)
        assert begun["created"]
        assert begun["challenges"]

    play(scenario, directory_is_known=False)


def test_a_certificate_of_the_same_names_is_another_order(play: Play, resources: set[str]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources
        await rig.authorize("a.example")
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize([])
        assert "has to be ordered again" in caught.value.parameters["detail"]
        assert await rig.issue("a.example")
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize([], csr=None)
        assert "has to be ordered again" in caught.value.parameters["detail"]

    play(scenario, directory_is_known=False)


def test_a_name_that_fails(play: Play, resources: set[str]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources
        rig.ca.verdicts["b.example"] = {"type": f"{PREFIX}dns", "detail": "NXDOMAIN"}
        with pytest.raises(VarlinkError) as caught:
            await rig.authorize("a.example", "b.example")
        assert caught.value.parameters["detail"] == "b.example: NXDOMAIN"
        assert caught.value.parameters["final"]
        assert rig.kept() is None

    play(scenario, directory_is_known=False)


def test_a_name_that_newauthz_refuses(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"newAuthz"}
        rig.ca.faults["newAuthz"] = [faults.refuse(Refusal(400, "rejectedIdentifier", "policy"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.authorize("a.example")
        assert (caught.value.parameters["type"], caught.value.parameters["final"]) == ("rejectedIdentifier", False)
        assert rig.kept() is None

    play(scenario, directory_is_known=False)


def test_a_ca_that_never_validates(play: Play, resources: set[str]) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = resources
        rig.ca.validation_polls = 10**9
        begun = await rig.order("a.example", csr=None)
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun), csr=None)
        assert caught.value.name == "org.acmed.Client.TimedOut"
        rig.ca.validation_polls = 1
        again = await rig.order("a.example", csr=None)
        assert not again["created"]
        await rig.finalize(http01(again), csr=None)

    play(scenario, deadlines=replace(PATIENT, authorization=1), directory_is_known=False)


@pytest.mark.parametrize(
    "wish", [{"profile": "classic"}, {"notBefore": EARLY}, {"notAfter": EARLY}, {"replaces": "a.b"}]
)
def test_without_a_csr_there_is_nothing_to_wish_for(play: Play, wish: dict[str, str]) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.order("a.example", csr=None, **wish)
        assert caught.value.parameters == {"parameter": "csr"}
        assert rig.ca.requests == []
        await rig.order("a.example", csr=CSR, **wish)

    play(scenario)
