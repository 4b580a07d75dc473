# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders that go well."""

import asyncio
import base64
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.clientd import jws
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import Work
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import CSR, Rig, http01, sha256


def test_one_name_costs_eight_requests(play: Play, certificate: Path) -> None:
    """With an account and nothing else: no process that has a nonce, a connection or a directory."""

    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
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
        assert rig.ca.counts() == {
            "newNonce": 1, "newOrder": 1, "authz": 2, "challenge": 1, "finalize": 1, "order": 1, "certificate": 1,
        }  # fmt: skip
        assert len(rig.ca.requests) == 8

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


@pytest.mark.slow
def test_many_orders_at_once(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.nonce_rejection = 0.05
        jobs = (rig.issue(f"n{number}.example", certificate=f"n{number}") for number in range(30))
        assert all(await asyncio.gather(*jobs))
        assert len(rig.ca.orders) == 30
        assert Counter(order.status for order in rig.ca.orders.values()) == {"valid": 30}

    play(scenario)


@pytest.mark.slow
def test_a_hundred_names_in_one_order(play: Play) -> None:
    """With as long names, URLs and tokens as there may be: all of it fits into one answer of ours."""

    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            url = fields["challenges"][0]["url"]
            for kind in ("tls-alpn-01", "dns-account-01"):
                fields["challenges"].append({"type": kind, "url": f"{url}/{'u' * 150}", "token": "t" * 43})

        rig.ca.edits["authz"] = edit
        rig.ca.validation_polls = 2
        label = "x" * 60
        assert await rig.issue(*(f"n{number}.{label}.{label}.{label}.example" for number in range(100)))
        percents = [step["progress"] for step in rig.steps]
        assert percents == sorted(percents)
        assert f"n7.{label}.{label}.{label}.example: waiting for the CA" in [step["detail"] for step in rig.steps]

    play(scenario)


def test_two_callers_for_one_certificate(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        begun = await asyncio.gather(*(rig.order() for _ in range(8)))
        assert [item["created"] for item in begun].count(True) == 1
        chains = await asyncio.gather(*(rig.finalize(http01(begun[0])) for _ in range(4)))
        assert len(chains) == 4
        assert rig.ca.counts()["finalize"] == 1

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
