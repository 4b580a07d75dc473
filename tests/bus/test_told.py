# SPDX-License-Identifier: LGPL-2.1-or-later
"""Failures are told, and tried again."""

import asyncio
import json
import re
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import Variant
from acmed.manager import clock
from acmed.manager.clock import DAY, MINUTE, SECOND
from acmed.manager.known.remembered import CertificateState, Told
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import EVERYBODY, WWW, Rig, rig

_NAME = "www.example.com"
_CATALOG = Path(__file__).resolve().parents[2] / "units" / "acmed.catalog"


def _notify(it: Rig) -> None:
    (it.places.etc / "acmed.toml.d" / "notify.toml").write_text('[notify]\nmail = "root@example.com"\n')


def _remember(it: Rig, **state: Any) -> None:
    """What acmed knows when it is started."""
    directory = it.places.state / "certificates"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{_NAME}.json").write_text(json.dumps(asdict(CertificateState(**state))))


async def _due(it: Rig) -> list[Any]:
    (jobs,) = await it.caller.manager("RenewDue", "t", 0)
    return list(jobs)


async def _told(it: Rig, number: int) -> list[dict[str, Any]]:
    """What Notify has heard, when it is so many."""
    async with asyncio.timeout(10):
        while len(it.privd.given("Notify")) < number:
            await asyncio.sleep(0)
    return it.privd.given("Notify")


def test_failure_has_a_signal_with_the_time_of_the_next_attempt(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.unreachable.add("default")
            number = await it.caller.order("", _NAME)
            assert await it.caller.result(number) == "failed"
            signal = await it.caller.until("CertificateFailed", _NAME)
            values = await it.caller.properties()
            assert signal.body[1:] == [WWW, *values["LastError"], values["RetryAt"]]
            assert values["RetryAt"] - values["LastErrorTimestamp"] == MINUTE
            members = [signal.member for signal in it.caller.signals]
            assert members.index("CertificateFailed") < members.index("JobRemoved")

    asyncio.run(run())


def test_time_that_the_ca_asks_for_is_kept_and_shown(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Order"] = VarlinkError(
                "org.acmed.Client.Acme", type="rateLimited", detail="too many", status=429, retryAfter=7200,
                final=False, subproblems=[],
            )  # fmt: skip
            assert await it.caller.result(await it.caller.order("", _NAME)) == "failed"
            values = await it.caller.properties()
            assert values["RetryAt"] - values["LastErrorTimestamp"] == 120 * MINUTE
            assert clock.text(values["RetryAt"]) in values["LastError"][1]

    asyncio.run(run())


def test_first_failure_in_a_row_is_told_and_then_one_a_day(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _notify(it)
            it.privd.configure(_NAME, [_NAME])
            now = clock.now()
            _remember(it, failures=4, error_name="x", error_time=now - DAY, told=Told(failed=now - DAY - MINUTE))
            await it.start(EVERYBODY)
            it.clientd.unreachable.add("default")
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "failed"
            (told,) = await _told(it, 1)
            assert (told["event"], told["certificate"], told["job"]) == ("failed", _NAME, number)
            assert told["message"].startswith("org.acmed1.Error.Unreachable: ")
            # Within the same day.
            assert await it.caller.result(await it.caller.renew()) == "failed"
            it.clientd.unreachable.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            # Another row.
            it.clientd.unreachable.add("default")
            it.privd.configure(_NAME, [_NAME, "mail.example.com"])
            assert await it.caller.result(await it.caller.renew()) == "failed"
            assert len(await _told(it, 2)) == 2

    asyncio.run(run())


def test_delivery_that_fails_is_told_once_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _notify(it)
            it.privd.undeliverable["nginx"] = "it does not start"
            number = await it.caller.order("", _NAME, services=Variant("as", ["nginx"]))
            assert await it.caller.result(number) == "failed"
            ((_, number, _),) = await _due(it)
            assert await it.caller.result(number) == "failed"
            (told,) = await _told(it, 1)
            assert "it does not start" in told["message"]

    asyncio.run(run())


def test_nobody_is_called_where_nothing_is_configured(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.unreachable.add("default")
            assert await it.caller.result(await it.caller.order("", _NAME)) == "failed"
            await it.caller.manager("ListJobs")
            assert "Notify" not in it.privd.called

    asyncio.run(run())


def test_notification_that_fails_fails_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start(EVERYBODY, idle=0.05)
            _notify(it)
            it.privd.errors["Notify"] = VarlinkError("org.acmed.Priv.HookFailed", message="exit status 3")
            it.clientd.errors["Order"] = VarlinkError("org.acmed.Client.NoSuchAccount", account="default")
            assert await it.caller.result(await it.caller.order("", _NAME)) == "failed"
            await _told(it, 1)
            # It did not leave before that: it waits for the next attempt.
            assert (await it.caller.properties())["Failures"] == 1

    asyncio.run(run())
    assert "exit status 3" in capfd.readouterr().err


def test_certificate_in_danger_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _notify(it)
            it.privd.configure(_NAME, [_NAME])
            it.privd.install(_NAME, certificate([_NAME], begun=timedelta(days=76)))
            now = clock.now()
            waiting = {"error_time": now - MINUTE, "retry_at": now + DAY, "told": Told(failed=now - MINUTE)}
            _remember(it, failures=4, error_name="org.acmed1.Error.Unreachable", error_message="no way", **waiting)
            await it.start(EVERYBODY)
            assert (await it.caller.properties())["Endangered"]
            for _ in range(2):
                assert await _due(it) == []
            (told,) = await _told(it, 1)
            assert (told["event"], told["certificate"]) == ("expiring", _NAME)
            assert "no way" in told["message"]

    asyncio.run(run())
    assert capfd.readouterr().err.count("should have been renewed at") == 1


def test_acmed_stays_for_an_attempt_that_is_soon_and_makes_it_itself(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure(_NAME, [_NAME])
            now = clock.now()
            _remember(it, failures=1, error_name="x", error_time=now - MINUTE, retry_at=now + SECOND)
            await it.start(EVERYBODY, idle=0.05)
            assert await it.caller.result(1) == "done"
            await it.ended()

    asyncio.run(run())


def test_attempt_that_is_late_is_left_to_the_timer_which_tells_of_it(tmp_path: Path) -> None:
    """The timer has started acmed, and is to be told of the job."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure(_NAME, [_NAME])
            now = clock.now()
            _remember(it, failures=1, error_name="x", error_time=now - 2 * MINUTE, retry_at=now - MINUTE)
            await it.start(EVERYBODY)
            ((name, number, _),) = await _due(it)
            assert name == _NAME
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_broken_file_does_not_hide_that_a_certificate_expires(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _notify(it)
            it.privd.install(_NAME, certificate([_NAME], begun=timedelta(days=76)))
            it.privd.configure(_NAME, [_NAME], nombre=1)
            assert await _due(it) == []
            (told,) = await _told(it, 1)
            assert told["event"] == "expiring"
            assert "nombre" in told["message"]

    asyncio.run(run())


def test_acmed_does_not_stay_for_what_is_far_off(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure(_NAME, [_NAME])
            now = clock.now()
            _remember(it, failures=3, error_name="x", error_time=now - MINUTE, retry_at=now + 100 * MINUTE)
            await it.start(EVERYBODY, idle=0.05)
            await it.ended()
            assert it.privd.calls == []

    asyncio.run(run())


def test_each_message_of_the_catalog_is_one_that_is_sent() -> None:
    declared = set(re.findall(r"^-- ([0-9a-f]{32})$", _CATALOG.read_text(), re.MULTILINE))
    sources = (_CATALOG.parents[1] / "acmed").rglob("*.py")
    # Each is a constant of its own; what others send stands in tables.
    ours = re.compile(r'^\w+ = "([0-9a-f]{32})"$', re.MULTILINE)
    sent = {found for path in sources for found in ours.findall(path.read_text())}
    assert declared == sent
