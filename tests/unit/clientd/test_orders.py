# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders that go well, and orders that are taken up again."""

import asyncio
import base64
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import jws
from tests.unit.clientd.ca import PREFIX, Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import Work, lose_answer, lose_request, refuse
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import CSR, QUICK, Rig, http01, sha256


def test_one_name_costs_eight_requests(play: Play, certificate: Path) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order("a.example")
        url = begun["order"]
        assert begun["created"]
        thumbprint = jws.thumbprint(jws.jwk(rig.keys.key))
        assert [(item["type"], item["keyAuthorization"]) for item in begun["challenges"]] == [
            (kind, f"{item['token']}.{thumbprint}")
            for kind, item in zip(("dns-01", "http-01"), begun["challenges"], strict=True)
        ]
        assert await rig.finalize(http01(begun)) == certificate.read_text() * 2
        assert rig.ca.orders[url].csr == jws.encode(CSR)
        steps = [(step["step"], step["chain"] is None) for step in rig.steps]
        assert [*dict.fromkeys(steps)] == [
            ("challenge", True), ("finalize", True), ("download", True), ("download", False),
        ]  # fmt: skip
        percents = [step["progress"] for step in rig.steps]
        assert percents == sorted(percents)
        assert percents[0] >= 40
        assert percents[-1] == 95
        assert "a.example: valid" in [step["detail"] for step in rig.steps]
        # A nonce is there from the registration. Without it, a HEAD of newNonce makes it eight.
        assert rig.ca.counts() == {
            "newOrder": 1, "authz": 2, "challenge": 1, "finalize": 1, "order": 1, "certificate": 1,
        }  # fmt: skip

    play(scenario)


def test_a_ca_that_issues_at_once_is_not_polled(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.issuance_polls = 0
        await rig.issue()
        assert "order" not in rig.ca.counts()

    play(scenario)


def test_without_more_there_is_one_answer(play: Play, certificate: Path) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order()
        reply = await rig.client.call(
            "Finalize",
            timeout=60,
            job=1,
            account="main",
            certificate="www",
            csr=base64.b64encode(CSR).decode(),
            challenges=http01(begun),
        )
        assert reply["chain"] == certificate.read_text() * 2

    play(scenario)


def test_wildcards_and_addresses(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        names = ("*.a.example", "a.example", "192.0.2.1", "2001:db8::1")
        begun = await rig.order(*names)
        found = {
            (item["identifier"]["type"], item["identifier"]["value"], item["wildcard"]) for item in begun["challenges"]
        }
        assert found == {
            ("dns", "a.example", True),
            ("dns", "a.example", False),
            ("ip", "192.0.2.1", False),
            ("ip", "2001:db8::1", False),
        }
        await rig.finalize(http01(begun))
        assert "*.a.example: valid" in [step["detail"] for step in rig.steps]

    play(scenario)


def test_a_wildcard_that_the_ca_does_not_mark(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["authz"] = lambda fields: fields.pop("wildcard", None)
        begun = await rig.order("*.a.example")
        assert [item["wildcard"] for item in begun["challenges"]] == [True, True]

    play(scenario)


def test_the_ca_may_shuffle_and_spell_differently(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def shuffle(fields: dict[str, Any]) -> None:
            fields["identifiers"] = [
                item | {"value": item["value"].upper().replace("2001:DB8::1", "2001:0db8:0::1")}
                for item in reversed(fields["identifiers"])
            ]
            fields["authorizations"] = fields["authorizations"][::-1]

        for kind in ("newOrder", "order", "finalize"):
            rig.ca.edits[kind] = shuffle
        assert await rig.issue("a.example", "B.example", "2001:db8::1")

    play(scenario)


@pytest.mark.parametrize("change", ["more", "fewer", "other"])
def test_an_order_for_other_names(play: Play, change: str) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            more = {"type": "dns", "value": "c.example"}
            found = fields["identifiers"]
            fields["identifiers"] = {"more": [*found, more], "fewer": found[:1], "other": [*found[:1], more]}[change]

        rig.ca.edits["newOrder"] = edit
        with pytest.raises(VarlinkError) as caught:
            await rig.order("a.example", "b.example")
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "other identifiers" in caught.value.parameters["message"]

    play(scenario)


def test_an_authorization_for_another_name(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["authz"] = lambda fields: fields.update(identifier={"type": "dns", "value": "evil.example"})
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert "evil.example, which was not ordered" in caught.value.parameters["message"]

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("newOrder", "finalize", "https://evil.example/finalize"),
        ("newOrder", "finalize", "http://localhost/finalize"),
        ("newOrder", "authorizations", ["https://evil.example/authz/1"]),
        ("newOrder", "authorizations", ["https://user@localhost/authz/1"]),
        ("newOrder", "authorizations", ["/authz/1"]),
        ("newOrder", "authorizations", ["https://[/"]),
        ("newOrder", "authorizations", ["https://localhost:99999999/"]),
        ("order", "certificate", "https://evil.example/certificate/1"),
        ("order", "certificate", "{base}/certificate/1\r\nX: y"),
        ("order", "certificate", "{base}/certificate/1#x"),
        ("order", "certificate", "{base}\\@evil.example/1"),
    ],
)
def test_urls_of_other_origins_are_not_asked(play: Play, kind: str, field: str, value: Any) -> None:
    async def scenario(rig: Rig) -> None:
        url = value.replace("{base}", rig.ca.base) if isinstance(value, str) else value

        rig.ca.edits[kind] = lambda fields: fields.update({field: url})
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters["url"] == (url if isinstance(url, str) else url[0])
        assert not [signed for signed in rig.keys.signed if not signed.startswith(f"{rig.ca.base}/")]

    play(scenario)


def test_a_challenge_of_another_origin_is_not_answered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            for item in fields["challenges"]:
                item["url"] = "https://evil.example/challenge"

        rig.ca.edits["authz"] = edit
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.parameters["url"] == "https://evil.example/challenge"

    play(scenario)


def test_challenges_that_nobody_knows(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            base = fields["challenges"][0]["url"]
            fields["challenges"] += [
                {"type": "telepathy-01", "url": f"{base}/t", "token": "abc", "waves": {}},
                {"type": "dns-persist-01", "url": f"{base}/p", "issuer-domain-names": ["ca.example"]},
                {"type": "http-01", "url": f"{base}/h", "token": "../../etc/passwd"},
                {"type": "http-01", "url": f"{base}/v", "token": "abc", "status": "invalid"},
                7,
            ]

        rig.ca.edits["authz"] = edit
        begun = await rig.order()
        assert [item["type"] for item in begun["challenges"]] == ["dns-01", "http-01", "telepathy-01"]
        assert await rig.finalize(http01(begun)[:1])

    play(scenario)


def test_nothing_that_can_be_answered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        challenge = {"type": "dns-persist-01", "url": f"{rig.ca.base}/p"}
        rig.ca.edits["authz"] = lambda fields: fields.update(challenges=[challenge])
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["detail"] == "a.example: no challenge can be answered (offered: dns-persist-01)"

    play(scenario)


def test_valid_authorizations_need_nothing(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def validate(work: Work) -> Reply:
            work()
            for item in rig.ca.authorizations.values():
                item.status = "valid"
            return work()

        rig.ca.faults["newOrder"] = [validate]
        begun = await rig.order("a.example", "b.example")
        assert begun["challenges"] == []
        assert await rig.finalize([])
        assert "challenge" not in rig.ca.counts()

    play(scenario)


def test_some_authorizations_are_valid(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order("a.example", "b.example")
        next(iter(rig.ca.authorizations.values())).status = "valid"
        begun = await rig.order("a.example", "b.example")
        assert not begun["created"]
        assert {item["identifier"]["value"] for item in begun["challenges"]} == {"b.example"}
        assert await rig.finalize(http01(begun))
        assert rig.ca.counts()["challenge"] == 1

    play(scenario)


def test_many_orders_at_once(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.nonce_rejection = 0.05
        jobs = (rig.issue(f"n{number}.example", certificate=f"n{number}") for number in range(30))
        assert all(await asyncio.gather(*jobs))
        assert len(rig.ca.orders) == 30
        assert Counter(order.status for order in rig.ca.orders.values()) == {"valid": 30}

    play(scenario)


def test_forty_names_in_one_order(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.validation_polls = 2
        assert await rig.issue(*(f"n{number}.example" for number in range(40)))
        percents = [step["progress"] for step in rig.steps]
        assert percents == sorted(percents)
        assert "n7.example: waiting for the CA" in [step["detail"] for step in rig.steps]

    play(scenario)


# Orders that are taken up again.


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


def test_two_callers_for_one_certificate(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await asyncio.gather(*(rig.order() for _ in range(8)))
        assert [item["created"] for item in begun].count(True) == 1
        chains = await asyncio.gather(*(rig.finalize(http01(begun[0])) for _ in range(4)))
        assert len(chains) == 4
        assert rig.ca.counts()["finalize"] == 1

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
    """Once more, and then no more."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["authz"] = lambda fields: fields.update(status=status)
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["final"]
        assert caught.value.parameters["detail"] == f"the authorization of a.example is {status}"
        assert rig.ca.counts()["newOrder"] == 2
        assert rig.kept() is None

    play(scenario)


@pytest.mark.parametrize("fault", [lose_request, lose_answer])
def test_a_lost_new_order(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [fault]
        assert await rig.issue()
        assert len(rig.ca.orders) == 1

    play(scenario)


def test_dropped(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.order()
        assert rig.kept()["csr_sha256"] == sha256(CSR)
        for _ in range(2):
            assert await rig.client.call("Drop", timeout=5, job=1, certificate="www") == {}
        assert rig.kept() is None
        rig.ca.orders[first["order"]].status = "ready"
        assert (await rig.order())["created"]

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


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"certificate": "../etc/passwd"}, "certificate"),
        ({"certificate": ""}, "certificate"),
        ({"identifiers": []}, "identifiers"),
        ({"identifiers": [{"type": "email", "value": "a@a.example"}]}, "identifiers"),
        ({"csr": "not base64!"}, "csr"),
        ({"csr": "é"}, "csr"),
    ],
)
def test_wrong_parameters(play: Play, parameters: dict[str, Any], wrong: str) -> None:
    async def scenario(rig: Rig) -> None:
        good = {"certificate": "www", "identifiers": [{"type": "dns", "value": "a.example"}], "csr": "YQ=="}
        with pytest.raises(VarlinkError) as caught:
            await rig.client.call("Order", timeout=5, job=1, account="main", **good | parameters)
        assert caught.value.name == "org.varlink.service.InvalidParameter"
        assert caught.value.parameters == {"parameter": wrong}

    play(scenario)


def test_only_challenges_of_the_order_are_answered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.order()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize([f"{rig.ca.base}/account/1"])
        assert caught.value.parameters == {"parameter": "challenges"}

    play(scenario)


def test_a_name_whose_challenges_were_left_out(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await rig.order("a.example", "b.example")
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun)[:1])
        assert "b.example is pending, and none of its challenges" in caught.value.parameters["detail"]
        assert not caught.value.parameters["final"]

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


# Names that fail.

DNS = {"type": f"{PREFIX}dns", "detail": "NXDOMAIN", "status": 400}
CONNECTION = {"type": f"{PREFIX}connection", "detail": "refused", "status": 400}


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


# CAs that take their time.


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

    play(scenario, limits=replace(QUICK, authorize=0.5))


def test_a_ca_that_never_issues(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.issuance_polls = 10**9
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert caught.value.parameters["step"] == "finalize"
        assert "processing" in caught.value.parameters["message"]
        assert rig.kept()["status"] == "processing"
        rig.ca.issuance_polls = 1
        assert await rig.finalize([])

    play(scenario, limits=replace(QUICK, finalize=0.5))


def test_a_wait_beyond_the_deadline_is_not_begun(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.issuance_polls = 10**9
        rig.ca.headers["order"] = {"Retry-After": "7200"}
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.TimedOut"
        assert rig.ca.counts()["order"] == 1
        assert "waiting for the CA (Retry-After 7200 s)" in [step["detail"] for step in rig.steps]

    play(scenario)


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


def test_a_finalize_whose_answer_is_lost(play: Play) -> None:
    """It comes again, and is "not ready" as the order is being processed."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["finalize"] = [lose_answer]
        assert await rig.issue()
        assert rig.ca.counts()["finalize"] == 2

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


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>"),
        ("application/pem-certificate-chain", b"<html>"),
        ("application/pem-certificate-chain", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
        ("application/pem-certificate-chain", b"-----BEGIN CERTIFICATE-----\n\0\n-----END CERTIFICATE-----\n"),
        ("application/pem-certificate-chain", b""),
    ],
)
def test_what_is_no_chain(play: Play, kind: str, body: bytes) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["certificate"] = [lambda _: Reply(200, {"Content-Type": kind}, body)]
        begun = await rig.order()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun))
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "no chain" in caught.value.parameters["message"]
        assert await rig.finalize([])
        assert rig.ca.counts()["finalize"] == 1

    play(scenario)


def test_a_valid_order_without_a_certificate(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["order"] = lambda fields: fields.pop("certificate")
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert "no certificate" in caught.value.parameters["message"]

    play(scenario)
