# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders that the CA no longer has, gives up or refuses, and those whose answer is lost."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.ca import Fault
from tests.unit.clientd.ca_parts import PREFIX, Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import lose_answer, lose_request, page, refuse
from tests.unit.clientd.rig import CSR, QUICK, Rig, encoded, http01

DNS = {"type": f"{PREFIX}dns", "detail": "NXDOMAIN", "status": 400}


@pytest.mark.parametrize(
    "loss",
    ["invalid", "expired", "404", "403", "400", "deactivated authorization", "expired authorization"],
)
def test_a_kept_order_that_is_lost(play: Play, loss: str) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        authorization = next(iter(rig.ca.authorizations.values()))
        if loss == "404":
            del rig.ca.orders[first["order"]]
        elif loss in ("403", "400"):
            rig.ca.faults["order"] = [refuse(Refusal(int(loss), "unauthorized" if loss == "403" else "malformed"))]
            rig.ca.orders[first["order"]].status = "invalid"
        elif loss == "expired":
            del rig.ca.orders[first["order"]]
            rig.ca.faults["order"] = [refuse(Refusal(404, "malformed", "order expired"))]
        elif loss == "invalid":
            rig.ca.orders[first["order"]].status = "invalid"
        else:
            authorization.status = loss.partition(" ")[0]
            rig.ca.edits["order"] = lambda fields: fields.update(status="pending")
        second = await rig.order()
        assert second["created"]
        assert second["order"] != first["order"]
        rig.ca.edits.clear()
        assert await rig.finalize(http01(second))

    play(scenario)


def test_an_order_that_cannot_be_asked_for_now_is_kept(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        rig.ca.faults["order"] = [refuse(Refusal(429, "rateLimited"), "3600")]
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert (caught.value.parameters["retryAfter"], caught.value.parameters["final"]) == (3600, False)
        again = await rig.order()
        assert (again["order"], again["created"]) == (first["order"], False)

    play(scenario)


@pytest.mark.parametrize("status", ["deactivated", "expired", "revoked", "invalid"])
def test_a_new_order_with_a_lost_authorization(play: Play, status: str) -> None:
    """acmed is told, and may ask for another one."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["authz"] = lambda fields: fields.update(status=status)
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["final"]
        assert caught.value.parameters["detail"] == f"the authorization of a.example is {status}"
        assert rig.ca.counts()["newOrder"] == 1
        assert rig.kept() is None

    play(scenario)


def test_a_new_order_is_told_of_before_its_authorizations_are_read(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["authz"] = [refuse(Refusal(403, "unauthorized"))]
        wanted = {"identifiers": [{"type": "dns", "value": "a.example"}], "csr": encoded(CSR)}
        told: list[dict[str, Any]] = []
        for _ in range(2):
            with contextlib.suppress(VarlinkError):
                async for answer in rig.client.call_more(
                    "Order", timeout=60, job=2, account="main", certificate="www", **wanted
                ):
                    told.append(answer)
        order = rig.kept()["url"]
        assert [(one["order"], one["created"], bool(one["challenges"])) for one in told] == [
            (order, True, False),
            (order, False, True),
        ]

    play(scenario)


@pytest.mark.parametrize("fault", [lose_request, lose_answer])
def test_a_lost_new_order(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [fault]
        assert await rig.issue()
        assert len(rig.ca.orders) == 1

    play(scenario)


def test_a_new_order_that_is_garbled(play: Play) -> None:
    """What the CA said of it is lost, but not where it is."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [lambda work: replace(work(), body=b'{"status": "pend')]
        assert await rig.issue()
        assert rig.ca.counts()["newOrder"] == 1

    play(scenario)


def test_an_order_that_the_ca_gives_up(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        error = {
            "type": f"{PREFIX}caa",
            "detail": "CAA",
            "subproblems": [DNS | {"identifier": {"type": "dns", "value": "a.example"}}],
        }
        rig.ca.edits["order"] = lambda fields: fields.update(status="invalid", error=error)
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        parameters = caught.value.parameters
        assert (parameters["type"], parameters["detail"], parameters["final"]) == ("caa", "CAA", True)
        assert parameters["subproblems"][0]["identifier"] == {"type": "dns", "value": "a.example"}
        assert rig.kept() is None

    play(scenario)


def test_a_new_order_that_is_refused(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        problem: dict[str, Any] = {
            "subproblems": [
                {
                    "type": f"{PREFIX}rejectedIdentifier",
                    "identifier": {"type": "dns", "value": "a.example"},
                    "detail": "x",
                }
            ]
        }
        rig.ca.faults["newOrder"] = [refuse(Refusal(403, "rejectedIdentifier", "policy"), **problem)]
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters == {
            "type": "rejectedIdentifier",
            "detail": "policy",
            "status": 403,
            "retryAfter": None,
            "final": False,
            "subproblems": [
                {"identifier": {"type": "dns", "value": "a.example"}, "type": "rejectedIdentifier", "detail": "x"}
            ],
        }

    play(scenario)


def test_a_finalize_whose_answer_is_lost(play: Play) -> None:
    """It comes again, and is "not ready" as the order is being processed."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["finalize"] = [lose_answer]
        assert await rig.issue()
        assert rig.ca.counts()["finalize"] == 2

    play(scenario)


@pytest.mark.parametrize(
    ("status", "again"), [("pending", True), ("ready", True), ("processing", False), ("valid", False)]
)
def test_a_kept_order_that_has_run_out(play: Play, status: str, again: bool) -> None:
    """By the CA's clock. What is being issued is issued all the same."""

    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        order = rig.ca.orders[first["order"]]
        order.status, order.expires = status, "2030-01-01T00:00:00Z"
        rig.ca.headers["order"] = {"Date": "Tue, 01 Jan 2030 00:00:01 GMT"}
        if status == "pending":  # else it is the same one that the CA answers newOrder with
            order.identifiers = [{"type": "dns", "value": "b.example"}]
            rig.ca.edits["order"] = lambda fields: fields.update(identifiers=[{"type": "dns", "value": "a.example"}])
        assert (await rig.order())["created"] == again

    play(scenario)


@pytest.mark.parametrize("expires", ["2030-01-01T00:00:02Z", "never", None, 5])
def test_a_kept_order_that_has_time_left(play: Play, expires: Any) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.order()
        rig.ca.headers["order"] = {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}
        rig.ca.edits["order"] = lambda fields: fields.update(expires=expires)
        assert not (await rig.order())["created"]

    play(scenario)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_an_authorization_that_is_gone(play: Play, status: int, moment: str) -> None:
    """With it the order is: it would be asked for again and again."""

    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        rig.ca.orders[first["order"]].status = "invalid"
        rig.ca.edits["order"] = lambda fields: fields.update(status="pending")
        rig.ca.faults["authz"] = [page(status)]
        if moment == "meanwhile":
            with pytest.raises(VarlinkError) as caught:
                await rig.finalize(http01(first))
            assert caught.value.parameters["final"]
            assert rig.kept() is None
        begun = await rig.order()
        assert begun["created"]
        rig.ca.edits.clear()
        assert await rig.finalize(http01(begun))

    play(scenario)


@pytest.mark.parametrize(("status", "lost"), [(400, False), (403, False), (404, True), (410, True), (502, False)])
def test_a_page_in_the_place_of_an_order(play: Play, status: int, lost: bool) -> None:
    """It comes from what is in between, and says nothing of the order, unless that nothing is there."""

    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        rig.ca.orders[first["order"]].status = "ready"
        rig.ca.faults["order"] = [page(status)] * (len(QUICK.backoff) + 1)
        if lost:
            assert (await rig.order())["created"]
        else:
            with pytest.raises(VarlinkError) as caught:
                await rig.order()
            assert caught.value.name == "org.acmed.Client.Unreachable"
            rig.ca.faults.clear()
            assert (await rig.order())["order"] == first["order"]

    play(scenario)


@pytest.mark.parametrize(
    ("faults", "unsent"),
    [
        ({"directory": [lose_request] * 9}, True),
        ({"directory": [refuse(Refusal(503, "serverInternal"), "3600")]}, True),
        ({"newNonce": [lose_request] * 9}, True),
        ({"newNonce": [refuse(Refusal(503, "serverInternal"), "3600")]}, True),
        ({"newNonce": [page(502)] * 9}, True),
        ({"newOrder": [lose_request] * 9}, None),
        ({"newOrder": [lose_request], "newNonce": [lambda work: work(), *[lose_request] * 9]}, None),
        ({"newOrder": [refuse(Refusal(503, "serverInternal"), "3600")]}, None),
        ({"authz": [refuse(Refusal(503, "serverInternal"), "3600")]}, None),
    ],
)
def test_whether_the_ca_was_asked_for_an_order_is_told(
    play: Play, faults: dict[str, list[Fault]], unsent: bool | None
) -> None:
    """A CA that is down was not, and acmed need not count one."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults |= faults
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters.get("unsent") is unsent
        assert ("newOrder" in rig.ca.counts()) is not unsent

    play(scenario, directory_is_known=False)


def test_all_subproblems_are_told(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        names = [f"n{number}.example" for number in range(100)]
        problems = [
            {"type": f"{PREFIX}rejectedIdentifier", "detail": "x" * 900, "identifier": {"type": "dns", "value": name}}
            for name in names
        ]
        rig.ca.faults["newOrder"] = [refuse(Refusal(403, "rejectedIdentifier", "policy"), subproblems=problems)]
        with pytest.raises(VarlinkError) as caught:
            await rig.order(*names)
        found = caught.value.parameters["subproblems"]
        assert [item["identifier"]["value"] for item in found] == names
        assert {len(item["detail"]) for item in found} == {500}

    play(scenario)


def test_the_address_that_ends_a_pause_is_whole(play: Play) -> None:
    """Let's Encrypt's has a signed token in it."""

    async def scenario(rig: Rig) -> None:
        url = f"https://portal.letsencrypt.org/sfe/v1/unpause?jwt={'e' * 1200}"
        detail = f"Your account is temporarily prevented from requesting certificates. Please visit: {url}"
        rig.ca.faults["newOrder"] = [refuse(Refusal(429, "rateLimited", detail), "3600")]
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["detail"] == detail

    play(scenario)
