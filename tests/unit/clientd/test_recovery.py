# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders whose answer to newOrder was lost, at CAs that list the orders of an account: never a second one."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from acmed.clientd.orders import recovery
from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca import Fault
from tests.unit.clientd.ca_parts import Order, Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import CSR, PATIENT, Rig, http01


async def with_a_list(rig: Rig) -> None:
    rig.ca.lists = True
    await rig.register()
    rig.ca.requests.clear()


def answered(work: faults.Work) -> Reply:
    """By something in between, after the CA has done it: what comes of it is known to nobody here."""
    work()
    return Reply(502, {"Content-Type": "text/html"}, b"<html>")


@pytest.mark.parametrize("fault", [faults.lose_answer, faults.cut_answer])
@pytest.mark.parametrize("before", [0, 1, 3, 20])
def test_an_order_whose_answer_is_lost(play: Play, fault: Fault, before: int) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        for number in range(before):
            await rig.issue(f"n{number}.example", certificate=f"n{number}")
        rig.ca.requests.clear()
        rig.ca.faults["newOrder"] = [fault]
        begun = await rig.order()
        assert begun["created"]
        assert rig.ca.counts() == {"newNonce": 1, "newOrder": 1, "orders": 1 + before // 3, "order": 1, "authz": 1}
        await rig.finalize(http01(begun))
        assert len(rig.ca.orders) == before + 1
        # Nothing is in doubt any more.
        rig.ca.requests.clear()
        await rig.client.call("Drop", timeout=5, job=1, certificate="www")
        await rig.order()
        assert "orders" not in rig.ca.counts()

    play(scenario)


def test_a_ca_that_lists_the_newest_first(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        for number in range(12):
            await rig.issue(f"n{number}.example", certificate=f"n{number}")
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        urls = [*rig.ca.orders]

        def turn(work: faults.Work) -> Reply:
            reply = work()
            newest = [url for url in rig.ca.orders if url not in urls]
            return replace(reply, body=json.dumps({"orders": [*newest, *urls[::-1]]}).encode())

        rig.ca.faults["orders"] = [turn]
        await rig.order()
        assert len(rig.ca.orders) == 13

    play(scenario)


def test_an_order_that_is_found_after_a_nonce_was_refused(play: Play) -> None:
    """It is still the answer before that one that was lost."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.lose_answer, faults.refuse(Refusal(400, "badNonce"))]
        rig.ca.faults["orders"] = [faults.page(404)]
        await rig.order()
        assert len(rig.ca.orders) == 1
        assert rig.ca.counts()["orders"] == 2

    play(scenario)


@pytest.mark.parametrize("fault", [faults.lose_request, faults.page(502)])
def test_an_order_that_was_not_made(play: Play, fault: Fault) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [fault]
        if fault is not faults.lose_request:
            with pytest.raises(VarlinkError):
                await rig.order()
        assert await rig.issue()
        assert len(rig.ca.orders) == 1
        assert rig.ca.counts()["newOrder"] == 2

    play(scenario)


@pytest.mark.parametrize("restart", [True, False])
def test_an_order_that_the_next_run_finds(play: Play, restart: bool) -> None:
    """As after a kill: that newOrder was sent is on the disk, and no answer to it."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [answered]
        with pytest.raises(VarlinkError):
            await rig.order()
        if restart:
            rig.daemon.restart()
        rig.ca.requests.clear()
        begun = await rig.order()
        assert "newOrder" not in rig.ca.counts()
        assert await rig.finalize(http01(begun))
        assert len(rig.ca.orders) == 1

    play(scenario)


def test_an_order_that_is_over_is_not_looked_for(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [answered]
        with pytest.raises(VarlinkError):
            await rig.order()
        await rig.client.call("Drop", timeout=5, job=1, certificate="www")
        await rig.order()
        assert "orders" not in rig.ca.counts()
        assert len(list((rig.orders.parent / "notes").iterdir())) == 2  # of the directory and of the list

    play(scenario)


def test_an_order_that_is_answered_as_dead_is_not_looked_for(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.edits["newOrder"] = lambda fields: fields.update(status="invalid")
        for _ in range(2):
            with pytest.raises(VarlinkError):
                await rig.order()
        assert rig.ca.counts()["newOrder"] == 2
        assert "orders" not in rig.ca.counts()

    play(scenario)


def test_another_request_is_another_order(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [answered]
        with pytest.raises(VarlinkError):
            await rig.order("a.example")
        await rig.order("a.example", profile="shortlived")
        assert rig.ca.counts().get("orders", 0) == 0
        assert len(rig.ca.orders) == 2

    play(scenario)


def test_a_refusal_leaves_nothing_in_doubt(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.refuse(Refusal(403, "rejectedIdentifier"))]
        with pytest.raises(VarlinkError):
            await rig.order()
        await rig.order()
        assert "orders" not in rig.ca.counts()

    play(scenario)


def test_a_refusal_settles_what_was_looked_for(play: Play) -> None:
    """Once a loss was followed by a search and that by a refusal, refusals cost what they always do."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        refusal = faults.refuse(Refusal(403, "rejectedIdentifier"))
        rig.ca.faults["newOrder"] = [faults.lose_request, *[refusal] * 4]
        searches = []
        for _ in range(4):
            rig.ca.requests.clear()
            with pytest.raises(VarlinkError):
                await rig.order()
            searches.append(rig.ca.counts().get("orders", 0))
        assert searches == [1, 1, 0, 0]

    play(scenario)


def test_a_refusal_does_not_settle_what_could_not_be_looked_for(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [answered, faults.refuse(Refusal(403, "rejectedIdentifier"))]
        rig.ca.faults["orders"] = [faults.page(404)]
        for _ in range(2):
            with pytest.raises(VarlinkError):
                await rig.order()
        assert await rig.issue()
        assert len(rig.ca.orders) == 1

    play(scenario)


def _show(**fields: Any) -> Callable[[Rig, str], None]:
    def change(rig: Rig, url: str) -> None:
        rig.ca.orders[url].chosen |= fields

    return change


def _set(**fields: Any) -> Callable[[Rig, str], None]:
    def change(rig: Rig, url: str) -> None:
        for name, value in fields.items():
            setattr(rig.ca.orders[url], name, value)

    return change


def _hide(name: str) -> Callable[[Rig, str], None]:
    def change(rig: Rig, url: str) -> None:
        del rig.ca.orders[url].chosen[name]

    return change


NO_FIT = {
    "valid": _set(status="valid"),
    "processing": _set(status="processing"),
    "invalid": _set(status="invalid"),
    "expired": _set(expires="2001-01-01T00:00:00Z"),
    "fewer names": _set(identifiers=[{"type": "dns", "value": "a.example"}]),
    "other names": _set(identifiers=[{"type": "dns", "value": name} for name in ("a.example", "c.example")]),
    "profile": _show(profile="classic"),
    "notBefore": _show(notBefore="2027-01-01T00:00:00Z"),
    "notAfter": _show(notAfter="2027-01-01T00:00:00Z"),
    "a notAfter that is none": _show(notAfter=5),
    "no profile": _hide("profile"),
    "no notBefore": _hide("notBefore"),
    "no notAfter": _hide("notAfter"),
}


@pytest.mark.parametrize("change", NO_FIT.values(), ids=NO_FIT)
def test_an_order_that_is_not_the_same(play: Play, change: Callable[[Rig, str], None]) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        times = {"notBefore": "2026-10-31T00:00:00Z", "notAfter": "2026-12-01T00:00:00Z"}
        wanted: dict[str, Any] = {"profile": "shortlived", **times}

        def lose(work: faults.Work) -> Reply:
            reply = work()
            change(rig, reply.headers["Location"])
            return faults.lose_answer(lambda: reply)

        rig.ca.faults["newOrder"] = [lose]
        await rig.order("a.example", "b.example", **wanted)
        assert len(rig.ca.orders) == 2
        assert rig.kept()["url"] == [*rig.ca.orders][1]

    play(scenario)


def test_the_same_times_in_other_words(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)

        def lose(work: faults.Work) -> Reply:
            times = {"notBefore": "2026-10-31T01:00:00+01:00", "notAfter": "2026-12-01T01:00:00.000+01:00"}
            _show(**times)(rig, work().headers["Location"])
            return faults.lose_answer(Reply)

        rig.ca.faults["newOrder"] = [lose]
        await rig.order(notBefore="2026-10-31T00:00:00Z", notAfter="2026-12-01T00:00:00Z")
        assert len(rig.ca.orders) == 1

    play(scenario)


def test_a_ca_that_does_not_show_what_is_replaced(play: Play) -> None:
    """It is the order, and counts as one that replaces nothing."""

    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        await with_a_list(rig)

        def lose(work: faults.Work) -> Reply:
            _hide("replaces")(rig, work().headers["Location"])
            return faults.lose_answer(Reply)

        rig.ca.faults["newOrder"] = [lose]
        begun = await rig.order(replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
        assert len(rig.ca.orders) == 1
        assert not begun["replaced"]

    play(scenario, directory_is_known=False)


def test_an_order_that_replaces_another_certificate(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        await with_a_list(rig)

        def lose(work: faults.Work) -> Reply:
            _show(replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AA")(rig, work().headers["Location"])
            return faults.lose_answer(Reply)

        rig.ca.faults["newOrder"] = [lose]
        begun = await rig.order(replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
        assert len(rig.ca.orders) == 2
        assert begun["replaced"]

    play(scenario, directory_is_known=False)


def test_what_was_not_asked_for_may_be_anything(play: Play) -> None:
    """CAs show the profile and the times that they chose themselves."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)

        def lose(work: faults.Work) -> Reply:
            times = {"notBefore": "2026-10-31T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z"}
            _show(profile="classic", **times)(rig, work().headers["Location"])
            return faults.lose_answer(Reply)

        rig.ca.faults["newOrder"] = [lose]
        await rig.order()
        assert len(rig.ca.orders) == 1

    play(scenario)


@pytest.mark.parametrize("owner", ["another", "www"])
def test_an_order_that_is_kept_here_is_no_lost_one(play: Play, owner: str) -> None:
    """For two certificates with the same names, or for an earlier request of the same one."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        first = await rig.order(certificate=owner, csr=CSR + b", and another one")
        rig.ca.faults["newOrder"] = [faults.lose_request]
        second = await rig.order()
        assert first["order"] != second["order"]

    play(scenario)


BAD_LISTS = {
    "404": faults.page(404),
    "500": faults.page(500),
    "redirect": faults.redirect("/orders/2"),
    "broken": faults.broken_json,
    "huge": faults.huge_answer,
    "lost": faults.lose_request,
    "no list": lambda _: Reply(200, {}, b'{"orders": {"https://evil.example/1": 5}}'),
    "no URLs": lambda _: Reply(200, {}, b'{"orders": [5, null, "", "https://evil.example/order/1", "x\\ny"]}'),
    "elsewhere": lambda _: Reply(200, {"Link": '<https://evil.example/2>;rel="next"'}, b'{"orders": []}'),
}


@pytest.mark.parametrize("fault", BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_list_that_is_none(play: Play, fault: Fault) -> None:
    """Then newOrder is sent again, and the certificate is there; and nothing goes to another origin."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        rig.ca.faults["orders"] = [fault] * 99
        assert await rig.issue()
        assert len(rig.ca.orders) == 2
        assert not [url for url in rig.keys.signed if not url.startswith(rig.ca.base)]

    play(scenario)


def test_a_list_that_never_comes(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        never = asyncio.Event()
        rig.ca.faults["orders"] = [lambda work: replace(work(), when=never)]
        assert (await rig.order())["created"]
        assert rig.ca.counts()["newOrder"] == 2

    play(scenario, deadlines=replace(PATIENT, request=2))


def test_a_list_that_takes_its_time(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page comes well within the time for a request, and all of them do not."""
    monkeypatch.setattr(recovery, "_PAGES", 9)

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.lose_answer]

        def page(_: faults.Work) -> Reply:
            later = asyncio.Event()
            asyncio.get_running_loop().call_later(0.3, later.set)
            following = f"{rig.ca.base}/orders/{len(rig.ca.requests)}"
            return Reply(200, {"Link": f'<{following}>;rel="next"'}, b'{"orders": []}', when=later)

        rig.ca.faults["orders"] = [page] * 99
        assert (await rig.order())["created"]
        assert rig.ca.counts()["newOrder"] == 2
        assert rig.ca.counts()["orders"] < 9

    play(scenario, deadlines=replace(PATIENT, request=1))


@pytest.mark.parametrize(
    "refusal", [Refusal(403, "unauthorized"), Refusal(400, "malformed"), Refusal(404, "malformed")]
)
def test_a_list_with_orders_that_are_no_longer_there(play: Play, refusal: Refusal) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        for number in range(2):
            await rig.issue(f"n{number}.example", certificate=f"n{number}")
            await rig.client.call("Drop", timeout=5, job=1, certificate=f"n{number}")
        gone = [*rig.ca.orders]
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        rig.ca.faults["orders"] = [lambda work: _first(work(), rig, gone)]
        rig.ca.faults["order"] = [faults.refuse(refusal)] * 2
        assert (await rig.order())["created"]
        assert len(rig.ca.orders) == 3

    def _first(reply: Reply, rig: Rig, gone: list[str]) -> Reply:
        """The lost one is looked at last."""
        made = [url for url in rig.ca.orders if url not in gone]
        return replace(reply, body=json.dumps({"orders": [*made, *gone]}).encode())

    play(scenario)


@pytest.mark.parametrize("refusal", [Refusal(400, "accountDoesNotExist"), Refusal(500, "serverInternal")])
def test_a_refusal_that_is_not_about_an_order_ends_the_search(play: Play, refusal: Refusal) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        for number in range(2):
            await rig.issue(f"n{number}.example", certificate=f"n{number}")
            await rig.client.call("Drop", timeout=5, job=1, certificate=f"n{number}")
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        rig.ca.faults["order"] = [faults.refuse(refusal)] * 9
        rig.ca.requests.clear()
        assert (await rig.order())["created"]
        assert len({request.asked.path for request in rig.ca.requests if request.kind == "order"}) == 1
        assert rig.ca.counts()["newOrder"] == 2

    play(scenario)


def test_a_long_list(play: Play) -> None:
    """As a year makes it, with the oldest first."""

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        for number in range(130):
            identifiers = [{"type": "dns", "value": f"n{number}.example"}]
            rig.ca.orders[f"{rig.ca.base}/order/{rig.ca.number()}"] = Order(identifiers, [], status="valid")
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        assert (await rig.order())["created"]
        assert len(rig.ca.orders) == 131
        assert rig.ca.counts()["orders"] == 44
        assert rig.ca.counts()["order"] == 1

    play(scenario)


@pytest.mark.parametrize("next_page", ["1", "{number}"])
def test_a_list_without_an_end(
    play: Play, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], next_page: str
) -> None:
    """Of orders that are none."""
    monkeypatch.setattr(recovery, "_PAGES", 40)

    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.lose_answer]

        def page(_: faults.Work) -> Reply:
            number = len(rig.ca.requests)
            following = f"{rig.ca.base}/orders/{next_page.format(number=number)}"
            urls = [f"{rig.ca.base}/order/{number}-{index}" for index in range(100)]
            return Reply(200, {"Link": f'<{following}>;rel="next"'}, json.dumps({"orders": urls}).encode())

        rig.ca.faults["orders"] = [page] * 999
        await rig.order()
        assert rig.ca.counts()["orders"] == (40 if "number" in next_page else 1)
        assert rig.ca.counts()["order"] == 10
        assert rig.ca.counts()["newOrder"] == 2

    play(scenario)
    assert ("more than 40 pages" in capfd.readouterr().err) == ("number" in next_page)


def test_newest_orders_are_looked_at_once(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await with_a_list(rig)
        for number in range(8):
            await rig.issue(f"n{number}.example", certificate=f"n{number}")
            await rig.client.call("Drop", timeout=5, job=1, certificate=f"n{number}")
        rig.ca.requests.clear()
        rig.ca.faults["newOrder"] = [faults.lose_request] * 3
        await rig.order()
        assert rig.ca.counts()["orders"] == 3 * 3
        assert rig.ca.counts()["order"] == 8

    play(scenario)


@pytest.mark.parametrize("url", ["https://evil.example/orders", "no URL", 5])
def test_a_list_of_another_origin(play: Play, url: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["newAccount"] = lambda fields: fields.update(orders=url)
        await with_a_list(rig)
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        assert await rig.issue()
        assert url not in rig.keys.signed
        assert len(rig.ca.orders) == 2

    play(scenario)


@pytest.mark.parametrize("method", ["FindAccount", "ReadAccount", "UpdateAccount"])
def test_the_list_is_known_from_whatever_shows_the_account(play: Play, method: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.lists = True
        await rig.ask(method, **({"contact": []} if method == "UpdateAccount" else {}))
        rig.daemon.restart()
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        assert await rig.issue()
        assert len(rig.ca.orders) == 1

    play(scenario)


def test_an_account_whose_list_is_not_known(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.lists = True
        rig.ca.faults["newOrder"] = [faults.lose_answer]
        assert await rig.issue()
        assert "orders" not in rig.ca.counts()
        assert len(rig.ca.orders) == 2

    play(scenario)
