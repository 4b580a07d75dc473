# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that are validated without a certificate."""

import asyncio
from pathlib import Path
from typing import Any

from acmed.bus import Variant
from acmed.manager import clock
from acmed.manager.clock import DAY, MINUTE
from acmed.varlink import VarlinkError
from tests.bus.rig import ACCOUNT, Rig, rig

_ACCOUNT = "/org/acmed1/account/guests"


def _configure(it: Rig, names: str = '"a.example.com", "b.example.com"', more: str = "") -> None:
    it.privd.configure_account("guests", "https://ca.example/directory", "https://ca.example/account/7")
    path = it.privd.account_file("guests")
    path.write_text(f"{path.read_text()}authorize = [{names}]\n{more}")


async def _due(it: Rig) -> list[Any]:
    (jobs,) = await it.caller.manager("RenewDue", "t", 0)
    return list(jobs)


def test_names_of_a_caller(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            names = ["B.example.com", "a.example.com"]
            number, _ = await it.caller.manager("Authorize", "asa{sv}", names, {"account": Variant("s", "default")})
            assert await it.caller.result(number) == "done"
            (permit,) = it.privd.given("PermitAuthorize")
            assert [one["value"] for one in permit["identifiers"]] == ["b.example.com", "a.example.com"]
            (sent,) = it.clientd.given("Order")
            assert (sent["csr"], sent["account"]) == (None, "default")
            assert "Install" not in it.privd.called
            assert await _due(it) == []

    asyncio.run(run())


def test_names_of_an_account_are_validated_until_that_runs_out(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.expires = clock.now() + DAY
            assert (await it.caller.properties(_ACCOUNT, ACCOUNT))["Authorize"] == ["a.example.com", "b.example.com"]
            ((name, number, _),) = await _due(it)
            assert name.startswith("authorize.a.example.com-")
            assert await it.caller.result(number) == "done"
            assert await _due(it) == []
            # Another name.
            _configure(it, '"a.example.com", "b.example.com", "c.example.com"')
            it.clientd.expires = clock.now() - MINUTE
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            # They have run out.
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            # Fewer are no reason.
            it.clientd.expires = clock.now() + DAY
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            _configure(it, '"a.example.com"')
            assert await _due(it) == []

    asyncio.run(run())


def test_names_that_fail_wait_as_certificates_do(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.unreachable.add("guests")
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "failed"
            assert await _due(it) == []
            # A caller need not wait, and what it asks for is not the account's.
            it.clientd.unreachable.clear()
            options = {"account": Variant("s", "guests")}
            number, _ = await it.caller.manager("Authorize", "asa{sv}", ["c.example.com"], options)
            assert await it.caller.result(number) == "done"
            assert await _due(it) == []
            number, _ = await it.caller.manager("Authorize", "asa{sv}", ["b.example.com", "a.example.com"], options)
            assert await it.caller.result(number) == "done"
            assert await _due(it) == []

    asyncio.run(run())


def test_limit_of_the_account_holds_for_them_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, more='[account.guests.limits]\norders = "1/3h"\n')
            it.clientd.expires = clock.now() - MINUTE
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "done"
            ((_, number, path),) = await _due(it)
            assert await it.caller.result(number) == "failed"
            assert it.clientd.called.count("Order") == 1
            errors = [
                signal.body[1]["Error"].value[0]
                for signal in it.caller.signals
                if signal.path == path and signal.member == "PropertiesChanged" and "Error" in signal.body[1]
            ]
            assert errors == ["org.acmed1.Error.RateLimited"]

    asyncio.run(run())


def test_account_that_is_not_registered_has_nothing_validated(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            path = it.privd.account_file("guests")
            path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("uri")))
            assert await _due(it) == []

    asyncio.run(run())


def test_names_that_cannot_be_validated(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Finalize"] = VarlinkError(
                "org.acmed.Client.Acme", type="unauthorized", detail="no", status=403, retryAfter=None, final=True,
                subproblems=[],
            )  # fmt: skip
            number, _ = await it.caller.manager("Authorize", "asa{sv}", ["a.example.com"], {})
            assert await it.caller.result(number) == "failed"
            assert list(it.places.tokens.iterdir()) == []

    asyncio.run(run())
