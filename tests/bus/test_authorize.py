# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that are validated without a certificate."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acmed.bus import Variant
from acmed.manager import clock
from acmed.manager.clock import DAY, MINUTE, SECOND
from acmed.manager.known.remembered import AccountState
from acmed.varlink import VarlinkError
from tests.bus.rig import ACCOUNT, EVERYBODY, Rig, rig

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


def _notify(it: Rig) -> None:
    (it.places.etc / "acmed.toml.d" / "notify.toml").write_text('[notify]\nmail = "root@example.com"\n')


def _remember(it: Rig, **state: Any) -> None:
    """What acmed knows of the account when it is started."""
    directory = it.places.state / "accounts"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "guests.json").write_text(json.dumps(asdict(AccountState(**state))))


async def _told(it: Rig, number: int) -> list[tuple[str, str | None, str]]:
    """Account, certificate and event of what Notify has heard, when it is so many."""
    async with asyncio.timeout(10):
        while len(it.privd.given("Notify")) < number:
            await asyncio.sleep(0)
    return [(given["account"], given["certificate"], given["event"]) for given in it.privd.given("Notify")]


async def _again(it: Rig) -> str:
    """By somebody who does not wait; how it ended."""
    names = ["a.example.com", "b.example.com"]
    number, _ = await it.caller.manager("Authorize", "asa{sv}", names, {"account": Variant("s", "guests")})
    return await it.caller.result(number)


def test_failure_is_told_and_shown_until_it_is_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            _notify(it)
            it.clientd.unreachable.add("guests")
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "failed"
            signal = await it.caller.until("AuthorizationFailed", "guests")
            values = await it.caller.properties(_ACCOUNT, ACCOUNT)
            assert values["LastError"][0] == "org.acmed1.Error.Unreachable"
            assert signal.body[1:] == [_ACCOUNT, *values["LastError"], values["RetryAt"]]
            assert (values["Failures"], values["RetryAt"] - values["LastErrorTimestamp"]) == (1, MINUTE)
            members = [signal.member for signal in it.caller.signals]
            assert members.index("AuthorizationFailed") < members.index("JobRemoved")
            assert await _told(it, 1) == [("guests", None, "authorize-failed")]
            (given,) = it.privd.given("Notify")
            assert given["message"].startswith("a.example.com, b.example.com: org.acmed1.Error.Unreachable: ")
            # Of the next ones only those hear that listen all the time.
            assert await _again(it) == "failed"
            assert (await it.caller.properties(_ACCOUNT, ACCOUNT))["Failures"] == 2
            it.clientd.unreachable.clear()
            assert await _again(it) == "done"
            values = await it.caller.properties(_ACCOUNT, ACCOUNT)
            assert (values["LastError"], values["LastErrorTimestamp"]) == (["", ""], 0)
            assert (values["Failures"], values["RetryAt"]) == (0, 0)
            assert (await _told(it, 2))[1:] == [("guests", None, "authorized")]
            assert len([one for one in it.caller.signals if one.member == "AuthorizationFailed"]) == 2
            # What was well is no news.
            assert await _again(it) == "done"
            await it.caller.manager("ListJobs")
            assert len(it.privd.given("Notify")) == 2
            changed = [
                signal.body[1]["Failures"].value
                for signal in it.caller.signals
                if signal.path == _ACCOUNT and signal.member == "PropertiesChanged" and "Failures" in signal.body[1]
            ]
            assert changed == [1, 2, 0]

    asyncio.run(run())


def test_failures_that_go_on_are_told_once_a_day(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            _notify(it)
            now = clock.now()
            _remember(it, failures=5, error_name="x", error_time=now - DAY, retry_at=now, told=now - DAY - MINUTE)
            await it.start(EVERYBODY)
            it.clientd.unreachable.add("guests")
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "failed"
            assert await _again(it) == "failed"
            assert await _told(it, 1) == [("guests", None, "authorize-failed")]

    asyncio.run(run())


def test_acmed_stays_for_an_attempt_that_is_soon_and_makes_it_itself(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            now = clock.now()
            _remember(it, failures=1, error_name="x", error_time=now - MINUTE, retry_at=now + SECOND)
            await it.start(EVERYBODY, idle=0.05)
            assert await it.caller.result(1) == "done"
            await it.ended()
            assert it.clientd.called.count("Order") == 1

    asyncio.run(run())


def test_error_is_of_names_that_are_configured(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure_account("guests", "https://ca.example/directory", "https://ca.example/account/7")
            _remember(it, failures=1, error_name="x", error_message="y", error_time=1, retry_at=clock.now() + DAY)
            await it.start(EVERYBODY)
            values = await it.caller.properties(_ACCOUNT, ACCOUNT)
            assert (values["LastError"], values["Failures"], values["RetryAt"]) == (["", ""], 0, 0)
            _configure(it)
            values = await it.caller.properties(_ACCOUNT, ACCOUNT)
            assert (values["LastError"], values["Failures"], values["RetryAt"] > 0) == (["x", "y"], 1, True)

    asyncio.run(run())


def test_state_of_an_older_acmed_is_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            _remember(it, authorized=("a.example.com", "b.example.com"), expires=clock.now() + DAY)
            path = it.places.state / "accounts" / "guests.json"
            data = json.loads(path.read_text())
            del data["told"]
            path.write_text(json.dumps(data))
            await it.start(EVERYBODY)
            assert await _due(it) == []

    asyncio.run(run())


def test_what_others_ask_for_is_told_to_them_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            _notify(it)
            it.clientd.unreachable.add("guests")
            options = {"account": Variant("s", "guests")}
            number, _ = await it.caller.manager("Authorize", "asa{sv}", ["c.example.com"], options)
            assert await it.caller.result(number) == "failed"
            assert (await it.caller.properties(_ACCOUNT, ACCOUNT))["Failures"] == 0
            assert "AuthorizationFailed" not in [signal.member for signal in it.caller.signals]
            assert "Notify" not in it.privd.called

    asyncio.run(run())
