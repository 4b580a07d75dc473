# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders that are taken up again."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import Work, refuse
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import CSR, Rig, http01


@pytest.mark.parametrize("status", ["pending", "answered", "ready", "processing", "valid", "downloaded"])
def test_an_order_is_resumed_from_each_state(play: Play, status: str) -> None:
    """The daemon's memory is not asked: only what is in the file counts, and what the CA says."""

    async def scenario(rig: Rig) -> None:
        rig.ca.validation_polls = 2  # the first is Order()'s
        begun = await rig.order("a.example", "b.example")
        url = begun["order"]
        order = rig.ca.orders[url]
        if status == "downloaded":
            assert await rig.finalize(http01(begun))
        elif status != "pending":
            for authorization in rig.ca.authorizations.values():
                authorization.answered = True
                authorization.status = "pending" if status == "answered" else "valid"
            order.status = "pending" if status == "answered" else status
        rig.ca.requests.clear()
        again = await rig.order("b.example", "a.example")
        assert (again["order"], again["created"]) == (url, False)
        assert bool(again["challenges"]) == (status in ("pending", "answered"))
        assert await rig.finalize(http01(again))
        assert "newOrder" not in rig.ca.counts()
        assert ("finalize" in rig.ca.counts()) == (status in ("pending", "answered", "ready"))

    play(scenario)


@pytest.mark.parametrize("kind", ["challenge", "authz", "finalize", "order", "certificate"])
def test_the_caller_hangs_up_and_comes_again(play: Play, kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order()
        waiting = asyncio.ensure_future(rig.finalize(http01(begun)))

        def hang_up(work: Work) -> Reply:
            waiting.cancel()
            return work()

        rig.ca.faults[kind] = [hang_up]
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert rig.kept()["url"] == begun["order"]
        again = await rig.order()
        assert (again["order"], again["created"]) == (begun["order"], False)
        assert await rig.finalize(http01(again))

    play(scenario)


def test_the_caller_hangs_up_while_the_order_is_made(play: Play) -> None:
    """As acmed does when it is killed: the order that the CA makes is not lost."""

    async def scenario(rig: Rig) -> None:
        waiting = asyncio.ensure_future(rig.order())
        gone = asyncio.Event()

        def hang_up(work: Work) -> Reply:
            waiting.cancel()
            return replace(work(), when=gone)

        rig.ca.faults["newOrder"] = [hang_up]
        with pytest.raises(asyncio.CancelledError):
            await waiting
        again = asyncio.ensure_future(rig.order())
        for _ in range(100):  # turns of the loop, in which the daemon hears of both
            await asyncio.sleep(0)
        gone.set()
        begun = await again
        assert begun["created"] is False
        assert rig.ca.counts()["newOrder"] == 1
        assert await rig.finalize(http01(begun))

    play(scenario)


@pytest.mark.parametrize("change", ["names", "csr", "account", "uri", "broken"])
def test_an_order_for_something_else_is_not_resumed(play: Play, change: str) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.order("a.example")
        names = ("a.example",)
        more: dict[str, Any] = {}
        rig.ca.orders[first["order"]].status = "ready"
        match change:
            case "names":
                names = ("b.example",)
            case "csr":
                more["csr"] = b"another"
            case "account":
                rig.accounts["other"] = replace(rig.accounts["main"], name="other")
                more["account"] = "other"
            case "uri":
                key = rig.ca.accounts[rig.accounts["main"].uri or ""]
                uri = f"{rig.ca.base}/account/new"
                rig.ca.accounts[uri] = key
                rig.accounts["main"] = replace(rig.accounts["main"], uri=uri)
            case "broken":
                (rig.orders / "www.json").write_text('{"format')
        second = await rig.order(*names, **more)
        assert second["created"]
        assert second["order"] != first["order"]

    play(scenario)


@pytest.mark.parametrize("which", ["none", "csr", "account"])
def test_finalize_without_its_order(play: Play, which: str) -> None:
    async def scenario(rig: Rig) -> None:
        if which != "none":
            await rig.order()
        if which == "account":
            rig.accounts["main"] = replace(rig.accounts["main"], directory=f"{rig.ca.base}/directory/2")
        rig.ca.requests.clear()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize([], csr=b"another" if which == "csr" else CSR)
        assert caught.value.name == "org.acmed.Client.Acme"
        assert caught.value.parameters["final"]
        assert "has to be ordered again" in caught.value.parameters["detail"]
        assert rig.ca.requests == []

    play(scenario)


def test_finalize_of_an_order_that_was_not_read(play: Play) -> None:
    """The daemon was killed between newOrder and the authorizations."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["authz"] = [refuse(Refusal(429, "rateLimited"), "60")]
        with pytest.raises(VarlinkError):
            await rig.order()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize([])
        assert "has to be ordered again" in caught.value.parameters["detail"]
        begun = await rig.order()
        assert not begun["created"]
        assert await rig.finalize(http01(begun))

    play(scenario)


def test_a_disk_that_takes_nothing(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.orders.write_text("not a directory")
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.name == "org.acmed.InternalError"

    play(scenario)


def test_nothing_is_ordered_where_there_is_nothing_to_resume(play: Play) -> None:
    nothing: dict[str, Any] = {"order": None, "replaced": False, "challenges": []}

    async def scenario(rig: Rig) -> None:
        before = rig.ca.counts()
        assert await rig.resume() == nothing
        assert rig.ca.counts() == before
        begun = await rig.order()
        assert await rig.resume(csr=b"another request") == nothing
        assert await rig.resume() == {key: begun[key] for key in ("order", "replaced", "challenges")}
        assert rig.ca.counts()["newOrder"] == 1

    play(scenario)


def test_an_order_that_is_lost_is_not_made_again_by_resuming(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.order()
        authorization = next(iter(rig.ca.authorizations.values()))
        authorization.status = "deactivated"
        rig.ca.edits["order"] = lambda fields: fields.update(status="pending")
        assert (await rig.resume())["order"] is None
        assert rig.kept() is None
        assert rig.ca.counts()["newOrder"] == 1

    play(scenario)


def test_an_order_that_cannot_be_asked_for_is_not_resumed_now(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        rig.ca.faults["order"] = [refuse(Refusal(429, "rateLimited"), "3600")]
        with pytest.raises(VarlinkError):
            await rig.resume()
        assert (await rig.resume())["order"] == first["order"]

    play(scenario)
