# SPDX-License-Identifier: LGPL-2.1-or-later
"""The steps of a job that validates names without a certificate."""

import asyncio
from pathlib import Path
from typing import Any

from acmed.bus import Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import JOB, ROOT, Rig, rig


async def _authorize(it: Rig, *names: str, **options: Variant) -> int:
    number, _ = await it.caller.manager("Authorize", "asa{sv}", list(names), options)
    return int(number)


def _one(calls: list[tuple[str, dict[str, Any]]], method: str) -> dict[str, Any]:
    (given,) = [given for called, given in calls if called == method]
    return given


def test_all_but_a_certificate(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.offered = {"192.0.2.7": ("tls-alpn-01",)}
            seen: list[Path] = []
            it.clientd.at_finalize = lambda: seen.extend([*it.places.tokens.iterdir(), *it.places.answers.iterdir()])
            gate = it.clientd.gate("Order")
            number = await _authorize(it, "www.example.com", "192.0.2.7")
            job = await it.caller.properties(f"{ROOT}/job/_{number}", JOB)
            gate.set()
            assert job["Type"] == "authorize"
            assert job["Certificate"][1] == f"{ROOT}/account/default"
            assert await it.caller.result(number) == "done"
            assert len(seen) == 2
            assert [*it.places.tokens.iterdir(), *it.places.answers.iterdir()] == []

            permit, order = _one(it.privd.calls, "PermitAuthorize"), _one(it.clientd.calls, "Order")
            asked = [{"type": "dns", "value": "www.example.com"}, {"type": "ip", "value": "192.0.2.7"}]
            assert permit["identifiers"] == order["identifiers"] == asked
            assert permit["subject"] == order["certificate"] == job["Certificate"][0]
            wishes = ("csr", "profile", "not_before", "not_after", "replaces")
            assert [order[wish] for wish in wishes] == [None] * 5
            finalize = _one(it.clientd.calls, "Finalize")
            assert (finalize["csr"], finalize["certificate"]) == (None, permit["subject"])
            assert _one(it.clientd.calls, "Drop")["certificate"] == permit["subject"]
            assert _one(it.privd.calls, "DropPermit") == {"job": number, "certificate": permit["subject"]}
            assert not {"NewRequest", "Install", "Deliver"} & set(it.privd.called)

    asyncio.run(run())


def test_other_names_at_the_same_account_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            gate = it.clientd.gate("Order")
            numbers = [await _authorize(it, f"{name}.example.com") for name in ("a", "b")]
            numbers.append(await it.caller.order("", "c.example.com"))
            gate.set()
            assert [await it.caller.result(number) for number in numbers] == ["done"] * 3

    asyncio.run(run())


def test_what_failed_is_told_and_nothing_stays(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Finalize"] = VarlinkError(
                "org.acmed.Client.TimedOut", step="challenge", message="still pending"
            )
            assert await it.caller.result(await _authorize(it, "www.example.com")) == "timeout"
            assert [*it.places.tokens.iterdir()] == []
            assert "Drop" not in it.clientd.called  # begun again, it goes on with the same order
            assert it.privd.called[-1] == "DropPermit"

    asyncio.run(run())


def test_it_goes_on_after_sigkill(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            number = await it.kill_in(it.clientd, "Finalize", _authorize(it, "www.example.com"))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert it.privd.called[-2:] == ["CloseChallenge", "DropPermit"]
            assert [*it.places.tokens.iterdir()] == []

    asyncio.run(run())
