# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the CA wants certificates to be renewed (RFC 9773)."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import Variant
from acmed.manager import clock
from acmed.manager.clock import DAY, HOUR, MINUTE
from acmed.manager.upkeep import ari
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import CERTIFICATE, NOBODY, Rig, rig

_NAME = "www.example.com"


def _window(start: int, end: int, explanation: str | None = None) -> dict[str, Any]:
    """From now, in microseconds."""
    now = clock.now()
    return {"start": now + start, "end": now + end, "explanationUrl": explanation, "retryAfter": 21600}


def _configured(it: Rig, name: str = _NAME, age: int = 10, **keys: Any) -> None:
    it.privd.configure(name, [name], **keys)
    it.privd.install(name, certificate([name], begun=timedelta(days=age)))


async def _due(it: Rig) -> list[Any]:
    (jobs,) = await it.caller.manager("RenewDue", "t", 0)
    return list(jobs)


def test_certificate_is_asked_about_by_its_name_at_the_ca_and_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.window = _window(20 * DAY, 21 * DAY)
            planned = (await it.caller.properties())["RenewAt"]
            for _ in range(2):
                assert await _due(it) == []
            (given,) = it.clientd.given("RenewalInfo")
            path = it.places.certificates / _NAME / "cert.pem"
            assert (given["account"], given["cert_id"]) == ("default", ari.certificate_id(path))
            assert given["cert_id"].count(".") == 1
            values = await it.caller.properties()
            assert values["RenewalWindow"] == [it.clientd.window["start"], it.clientd.window["end"]]
            assert it.clientd.window["start"] <= values["RenewAt"] <= it.clientd.window["end"]
            assert values["RenewAt"] != planned
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


@pytest.mark.parametrize(("start", "end", "told"), [(49, 51, 0), (20, 21, 1), (60, 61, 1)])
def test_window_is_told_where_it_is_not_what_was_expected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], start: int, end: int, told: int
) -> None:
    """A run of the timer that has nothing to do says nothing."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.window = _window(start * DAY, end * DAY)
            assert await _due(it) == []

    asyncio.run(run())
    assert capfd.readouterr().err.count("wants it to be renewed between") == told


def test_window_in_the_past_means_now(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "notify.toml").write_text('[notify]\nmail = "root@example.com"\n')
            _configured(it)
            it.clientd.window = _window(-DAY, -MINUTE, "https://ca.example/why")
            ((name, number, _),) = await _due(it)
            assert name == _NAME
            values = await it.caller.properties()
            assert values["RenewalExplanation"] == "https://ca.example/why"
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["RenewalWindow"], values["RenewalExplanation"]) == ("valid", [0, 0], "")
            (told,) = it.privd.given("Notify")
            assert (told["event"], told["certificate"]) == ("revoked", _NAME)
            assert "https://ca.example/why" in told["message"]

    asyncio.run(run())
    assert "as if it were revoked" in capfd.readouterr().err


def test_ca_that_wants_each_at_once_gets_its_way_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, passed = clock.now, 0
    monkeypatch.setattr(clock, "now", lambda: real() + passed)

    async def run() -> None:
        nonlocal passed
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.window = _window(-DAY, -MINUTE)
            renewed = []
            for hour in range(0, 51, 3):
                passed = hour * HOUR
                for _, number, _ in await _due(it):
                    assert await it.caller.result(number) == "done"
                    renewed.append(hour)
            assert renewed == [0, 3, 27], "the one of 3 is young, and has replaced one that was"
            assert len(it.clientd.given("Order")) == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    "error",
    [
        VarlinkError("org.acmed.Client.Unreachable", url="https://ca.example/", message="refused"),
        VarlinkError("org.acmed.Client.NoSuchAccount", account="default"),
        VarlinkError("org.varlink.service.MethodNotImplemented", method=""),
    ],
)
def test_ca_that_cannot_be_asked_fails_nothing(tmp_path: Path, error: VarlinkError) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.errors["RenewalInfo"] = error
            for _ in range(2):
                assert await _due(it) == []
            # It is asked again, but not by the next call.
            assert it.clientd.called == ["RenewalInfo"]
            values = await it.caller.properties()
            assert (values["State"], values["Failures"], values["LastError"]) == ("valid", 0, ["", ""])

    asyncio.run(run())


def test_ca_that_says_when_to_ask_again_as_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.errors["RenewalInfo"] = VarlinkError(
                "org.acmed.Client.Acme",
                type="rateLimited", detail="sorry", status=429, retryAfter=12 * 3600, final=False, subproblems=[],
            )  # fmt: skip
            begin = clock.now()
            for hours, asked in ((0, 1), (11, 1), (13, 2)):
                monkeypatch.setattr(clock, "now", lambda moment=begin + hours * clock.HOUR: moment)
                assert await _due(it) == []
                assert it.clientd.called.count("RenewalInfo") == asked

    asyncio.run(run())


def test_who_is_not_asked_about(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it, "due.example.com", 70)
            _configured(it, "expired.example.com", 100)
            it.privd.configure("missing.example.com", ["missing.example.com"])
            it.clientd.unreachable.add("default")
            for _, number, _ in await _due(it):
                assert await it.caller.result(number) == "failed"
            assert "RenewalInfo" not in it.clientd.called

    asyncio.run(run())


def test_window_that_is_none(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.window = _window(-DAY, -2 * DAY)
            assert await _due(it) == []
            assert (await it.caller.properties())["RenewalWindow"] == [0, 0]

    asyncio.run(run())


def test_many_are_asked_about_a_few_at_a_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            for number in range(20):
                _configured(it, f"n{number}.example.com")
            gate = it.clientd.gate("RenewalInfo")
            due = asyncio.ensure_future(_due(it))
            while len(it.clientd.calls) < 8:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(it.clientd.calls) == 8
            gate.set()
            assert await due == []
            assert len(it.clientd.calls) == 20

    asyncio.run(run())


def test_renewal_for_a_window_is_that_of_those_who_were_asked_about(tmp_path: Path) -> None:
    """polkit was told of the certificates whose CA is asked, and so each of them may be renewed."""

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            _configured(it)
            it.clientd.window = _window(-DAY, -MINUTE)
            ((name, number, _),) = await _due(it)
            assert it.polkit
            (question,) = it.polkit.asked
            assert question.details == {"certificate": _NAME, "identifiers": "", "force": "false"}
            assert (name, await it.caller.result(number)) == (_NAME, "done")

    asyncio.run(run())


def test_window_does_not_outlive_its_certificate(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configured(it)
            it.clientd.window = _window(20 * DAY, 21 * DAY)
            await _due(it)
            number, _ = await it.caller.call(
                "/org/acmed1/certificate/www_2eexample_2ecom", CERTIFICATE, "Renew", "a{sv}",
                {"force": Variant("b", True)},
            )  # fmt: skip
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert values["RenewalWindow"] == [0, 0]
            await _due(it)
            first, second = (given["cert_id"] for given in it.clientd.given("RenewalInfo"))
            assert first != second

    asyncio.run(run())
