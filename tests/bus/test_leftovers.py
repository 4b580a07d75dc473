# SPDX-License-Identifier: LGPL-2.1-or-later
"""What could not be withdrawn when its job ended is withdrawn later, whoever is killed meanwhile."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import Variant
from acmed.manager import clock, jobs
from acmed.manager.clock import DAY, MINUTE, SECOND
from acmed.manager.known.state import DIRECTORY, UPDATE, JobRecord, Presented
from acmed.varlink import VarlinkError
from tests.bus.peers import Peer
from tests.bus.rig import EVERYBODY, JOB, ROOT, WWW, Rig, rig

_NAME = "www.example.com"
_AWAY = {
    "Remove": VarlinkError("org.acmed.DNS.UpdateFailed", zone="example.com", message="is away"),
    "WithdrawRecord": VarlinkError("org.acmed.Priv.HookFailed", message="is away"),
    "WithdrawToken": VarlinkError("org.acmed.Priv.ChallengeUnavailable", message="is away"),
}
_HOW = {"Remove": "update", "WithdrawRecord": "hook", "WithdrawToken": ""}


def _configure(it: Rig, method: str) -> Peer:
    """A certificate whose answers that method of the peer puts away."""
    it.privd.configure(_NAME, [_NAME], challenge="dns-01" if _HOW[method] else "http-01")
    it.clientd.challenge_type = "dns-01" if _HOW[method] else "http-01"
    it.dnsd.methods = {"example.com": _HOW[method]}
    http01 = f'[http01.webroots]\n"{_NAME}" = "/srv"\n' if not _HOW[method] else ""
    (it.places.etc / "acmed.toml.d" / "http01.toml").write_text(http01)
    return it.dnsd if method == "Remove" else it.privd


def _owed(it: Rig) -> dict[str, Any]:
    """What is in the state directory, by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in (it.places.state / "owed").iterdir()}


def _shift(it: Rig, by: int) -> None:
    """All times of what is owed, by so much."""
    for path in (it.places.state / "owed").iterdir():
        owed = json.loads(path.read_bytes())
        path.write_text(json.dumps(owed | {key: owed[key] + by for key in ("since", "tried", "retry_at")}))


async def _nothing_owed(it: Rig) -> None:
    async with asyncio.timeout(10):
        while _owed(it):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", _AWAY)
def test_next_job_withdraws_it_first(tmp_path: Path, method: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            peer = _configure(it, method)
            peer.failures[method] = [_AWAY[method]]
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            (left,) = _owed(it)[_NAME]["presented"]
            (first,) = peer.given(method)
            it.privd.calls.clear()
            it.dnsd.calls.clear()
            gate = it.privd.gate("NewRequest")
            number = await it.caller.renew(force=True)
            await it.privd.reached["NewRequest"].wait()
            (again,) = peer.given(method)
            assert {**again, "job": first["job"]} == first
            assert left["value"] in json.dumps(again)
            assert it.dnsd.records == it.privd.records == set()
            gate.set()
            assert await it.caller.result(number) == "done"
            assert _owed(it) == {}

    asyncio.run(run())


@pytest.mark.parametrize("method", _AWAY)
def test_acmed_stays_for_it_and_does_it_itself(tmp_path: Path, method: str, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            peer = _configure(it, method)
            peer.failures[method] = [_AWAY[method]]
            await it.start_process()
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            owed = _owed(it)[_NAME]
            assert owed["retry_at"] - owed["tried"] == MINUTE
            await it.kill()
            _shift(it, SECOND - MINUTE)
            await it.start(EVERYBODY, idle=0.05)
            await it.ended()
            assert _owed(it) == {}
            assert it.dnsd.records == it.privd.records == set()
            first, again = peer.given(method)
            assert again == {**first, "job": 0}

    asyncio.run(run())
    told = capfd.readouterr().err
    assert "is left at" in told
    assert f"What was left of the answers to challenges of {_NAME} is withdrawn" in told


def test_attempts_come_further_and_further_apart_and_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it, "Remove").errors["Remove"] = _AWAY["Remove"]
            await it.start_process()
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            await it.kill()
            for failures, pause in ((2, 10 * MINUTE), (3, 100 * MINUTE), (4, DAY)):
                _shift(it, -DAY)
                await it.start_process()
                async with asyncio.timeout(10):
                    while _owed(it)[_NAME]["failures"] < failures:
                        await asyncio.sleep(0.01)
                await it.kill()
                owed = _owed(it)[_NAME]
                assert owed["retry_at"] - owed["tried"] == pause
            _shift(it, -28 * DAY)
            await it.start_process()
            await _nothing_owed(it)

    asyncio.run(run())
    assert "at _acme-challenge.www.example.com: remove it by hand" in capfd.readouterr().err


@pytest.mark.parametrize("method", ["Remove", "WithdrawRecord"])
def test_timer_finds_it_after_sigkill(tmp_path: Path, method: str) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            peer = _configure(it, method)
            peer.errors[method] = _AWAY[method]
            await it.start_process()
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            await it.kill()
            peer.errors.clear()
            _shift(it, -DAY)
            await it.start_process()
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]
            await _nothing_owed(it)
            assert it.dnsd.records == it.privd.records == set()

    asyncio.run(run())


@pytest.mark.parametrize("later", [True, False], ids=["next-job", "acmed"])
def test_sigkill_while_it_is_withdrawn(tmp_path: Path, later: bool) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            peer = _configure(it, "Remove")
            peer.failures["Remove"] = [_AWAY["Remove"]]
            await it.start_process()
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            gate = peer.gate("Remove")
            if later:
                number = await it.caller.renew(force=True)
            else:
                await it.kill()
                _shift(it, -DAY)
                await it.start_process()
            await peer.reached["Remove"].wait()
            await it.kill()
            peer.failures["Remove"] = [_AWAY["Remove"]]  # what was begun is lost
            gate.set()
            peer.gates.clear()
            await asyncio.sleep(0.05)
            await it.start_process()
            if later:
                assert await it.caller.result(number) == "done"
            await _nothing_owed(it)
            assert it.dnsd.records == set()

    asyncio.run(run())


def test_order_waits_for_what_is_being_withdrawn(tmp_path: Path) -> None:
    """The same record may be presented again: it would be removed after that."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            peer = _configure(it, "Remove")
            peer.failures["Remove"] = [_AWAY["Remove"]]
            await it.start_process()
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            await it.kill()
            _shift(it, -DAY)
            it.privd.calls.clear()
            gate = peer.gate("Remove")
            await it.start_process()
            await peer.reached["Remove"].wait()
            number = await it.caller.renew(force=True)
            assert (await it.caller.properties(f"{ROOT}/job/_{number}", JOB))["Step"] == "waiting"
            assert "NewRequest" not in it.privd.called
            gate.set()
            assert await it.caller.result(number) == "done"
            assert _owed(it) == {}
            assert it.dnsd.records == set()

    asyncio.run(run())


def test_names_without_a_certificate(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            peer = _configure(it, "Remove")
            (it.places.etc / "acmed.toml.d" / "zones.toml").write_text('[zone."example.com"]\nserver = "192.0.2.53"\n')
            peer.failures["Remove"] = [_AWAY["Remove"]]
            results = []
            for _ in range(2):
                number, _path = await it.caller.manager("Authorize", "asa{sv}", [_NAME], {})
                results.append((await it.caller.result(int(number)), len(_owed(it))))
            assert results == [("done", 1), ("done", 0)]
            assert it.dnsd.records == set()

    asyncio.run(run())


def test_job_that_is_cancelled_before_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not come to it to withdraw what the run that was killed had presented."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it, "Remove")
            record = Presented("dns-01", _NAME, UPDATE, "v", "https://ca.example/1", "example.com", "_acme-challenge.x")
            file = Presented("http-01", _NAME, DIRECTORY, "token")
            path = it.places.state / "jobs"
            path.mkdir(parents=True)
            job = JobRecord(7, "order", _NAME, 0, clock.now(), presented=(record, file))
            (path / "7.json").write_text(json.dumps(asdict(job)))
            monkeypatch.setattr(jobs, "_AT_ONCE", 0)
            await it.start(EVERYBODY)
            await it.caller.call(f"{ROOT}/job/_7", JOB, "Cancel")
            assert await it.caller.result(7) == "canceled"
            assert _owed(it)[_NAME]["presented"] == [asdict(record)]
            assert it.privd.called == ["DropPermit"]

    asyncio.run(run())


def test_permit_that_cannot_be_dropped_does_not_keep_a_job(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            it.privd.errors["DropPermit"] = VarlinkError("org.acmed.Priv.InstallFailed", certificate="x", message="no")
            gate = it.clientd.gate("Order")
            number = await it.caller.order("", _NAME, challenge=Variant("s", "http-01"))
            await it.clientd.reached["Order"].wait()
            await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
            assert await it.caller.result(number) == "canceled"
            gate.set()
            assert (await it.caller.properties(WWW))["LastError"] == ["", ""]

    asyncio.run(run())
    assert f"The permit for {_NAME} is left until it expires" in capfd.readouterr().err
