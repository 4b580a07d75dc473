# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed comes and goes: SIGKILL in the middle of a job, and the exit when there is nothing to do."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.manager import main
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import EVERYBODY, NAME, NOBODY, ROOT, Caller, rig

_SERVICES = Variant("as", ["nginx"])
_SHORT = 0.05  # seconds of idleness
_GONE = ("org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.ServiceUnknown")


@pytest.mark.parametrize(
    ("daemon", "method"),
    [
        ("privd", "NewRequest"),
        ("clientd", "Order"),
        ("privd", "OpenChallenge"),
        ("clientd", "Finalize"),
        ("clientd", "Download"),
        ("privd", "Install"),
        ("privd", "Deliver"),
    ],
)
def test_job_goes_on_after_sigkill(tmp_path: Path, daemon: str, method: str) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            peer: Any = it.privd if daemon == "privd" else it.clientd
            number = await it.kill_in(peer, method, it.caller.order("", "www.example.com", services=_SERVICES))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["Undelivered"], values["Failures"]) == ("valid", [], 0)
            assert list(it.places.tokens.iterdir()) == []
            assert {given["job"] for _, given in it.privd.calls + it.clientd.calls} == {number}
            opened = [call for call in it.privd.called if call.endswith("Challenge")]
            assert not opened or opened[-1] == "CloseChallenge"
            assert list((it.places.state / "jobs").iterdir()) == []

    asyncio.run(run())


def test_renewal_that_was_installed_before_sigkill_is_not_taken_for_damage(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            await it.caller.result(await it.caller.order("", "www.example.com"))
            await it.kill()
            await it.start_process()
            # acme-privd installs it all the same.
            number = await it.kill_in(it.privd, "Install", it.caller.renew(force=True))
            async with asyncio.timeout(10):
                while len(list(it.places.certificates.iterdir())) < 3:
                    await asyncio.sleep(0)
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["State"] == "valid"
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]

    asyncio.run(run())


def test_what_was_installed_before_sigkill_is_not_ordered_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            number = await it.kill_in(it.privd, "Deliver", it.caller.order("", "www.example.com", services=_SERVICES))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert it.privd.called.count("NewRequest") == 1

    asyncio.run(run())


def test_order_of_what_was_installed_is_forgotten_after_sigkill(tmp_path: Path) -> None:
    """A reused RSA key gives the same CSR again: the order that was kept would be resumed at the next renewal, and its
    certificate be refused as one that was installed before, until it has expired.
    """

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            number = await it.kill_in(it.clientd, "Drop", it.caller.order("", "www.example.com", services=_SERVICES))
            it.clientd.calls.clear()
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert it.clientd.called == ["Drop"]

    asyncio.run(run())


def test_new_key_is_made_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            await it.caller.result(await it.caller.order("", "www.example.com"))
            number = await it.kill_in(it.clientd, "Order", it.caller.renew(force=True, new_key=True))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            wanted = [given["new_key"] for method, given in it.privd.calls if method == "NewRequest"]
            assert wanted == [False, True, False]

    asyncio.run(run())


def test_numbers_and_failures_outlive_acmed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.undeliverable["nginx"] = "not today"
            await it.start_process()
            first = await it.caller.order("", "www.example.com", services=_SERVICES)
            assert await it.caller.result(first) == "failed"
            before = await it.caller.properties()
            await it.kill()
            await it.start_process()
            assert await it.caller.properties() == before
            assert before["Undelivered"] == [["nginx", "not today"]]
            assert await it.caller.renew(force=True) == first + 1

    asyncio.run(run())


@pytest.mark.parametrize("broken", ["directory", "number", "counter"])
def test_file_of_its_state_that_is_broken_stops_nothing(tmp_path: Path, broken: str) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            for name in ("aaa.example.com", "www.example.com"):
                it.privd.configure(name, [name])
                it.privd.install(name, certificate([name], begun=timedelta(days=70)))
            match broken:
                case "directory":
                    for directory in ("certificates", "accounts", "owed", "limits"):
                        (it.places.state / directory / "default.json").mkdir(parents=True)
                        (it.places.state / directory / "aaa.example.com.json").mkdir()
                    (it.places.state / "jobs" / "7.json").mkdir(parents=True)
                case "number":
                    for directory, content in (
                        ("certificates", {"failures": 10**30}),
                        ("owed", {"presented": [], "since": 0, "failures": 0, "tried": 0, "retry_at": 10**18}),
                    ):
                        (it.places.state / directory).mkdir(parents=True)
                        (it.places.state / directory / "aaa.example.com.json").write_text(json.dumps(content))
                case "counter":
                    (it.places.state / "last-job").mkdir(parents=True)
            await it.start(EVERYBODY)
            (jobs,) = await it.caller.manager("RenewDue", "t", 0)
            assert [name for name, _, _ in jobs] == ["aaa.example.com", "www.example.com"]
            for _, number, _ in jobs:
                assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_token_of_a_killed_run_is_swept(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            (it.places.tokens / "left").write_text("left.over")
            await it.start(EVERYBODY)
            assert list(it.places.tokens.iterdir()) == []

    asyncio.run(run())


def test_token_in_a_webroot_is_withdrawn_although_the_order_cannot_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            it.privd.challenge_method = "webroot"
            gate = it.clientd.gate("Finalize")
            number = await it.caller.order("", "www.example.com")
            await it.clientd.reached["Finalize"].wait()
            await it.kill()
            assert "WithdrawToken" not in it.privd.called
            gate.set()
            it.privd.errors["NewRequest"] = VarlinkError("org.acmed.Priv.InstallFailed", certificate="x", message="no")
            await it.start_process()
            assert await it.caller.result(number) == "failed"
            withdrawn = [given["token"] for method, given in it.privd.calls if method == "WithdrawToken"]
            assert withdrawn == [given["token"] for method, given in it.privd.calls if method == "PublishToken"]
            assert it.privd.called.index("CloseChallenge") > it.privd.called.index("WithdrawToken")

    asyncio.run(run())


def test_timer_returns_the_jobs_that_were_interrupted(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            it.clientd.gate("Order")
            number = await it.caller.order("", "www.example.com")
            await it.clientd.reached["Order"].wait()
            await it.kill()
            gate = it.clientd.gate("Order")
            await it.start_process()
            (jobs,) = await it.caller.manager("RenewDue", "t", 0)
            assert [job[:2] for job in jobs] == [["www.example.com", number]]
            gate.set()
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_sigterm_interrupts_and_keeps(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            gate = it.clientd.gate("Finalize")
            number = await it.caller.order("", "www.example.com")
            await it.clientd.reached["Finalize"].wait()
            assert await it.terminate() == 0
            assert list(it.places.tokens.iterdir()) == []
            assert it.privd.called[-1] == "CloseChallenge"
            gate.set()
            await it.start_process()
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_exits_when_idle_and_not_before(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start(EVERYBODY, idle=0.2)
            gate = it.clientd.gate("Order")
            number = await it.caller.order("", "www.example.com")
            await asyncio.sleep(0.5)
            assert await it.caller.manager("ListJobs") != [[]]
            gate.set()
            assert await it.caller.result(number) == "done"
            await it.ended()

    asyncio.run(run())


def test_no_call_is_lost_at_the_edge(tmp_path: Path) -> None:
    """Calls without end while it leaves: each is answered, or the name was gone before it."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            others = [await Caller.connect(it.address) for _ in range(4)]
            answered = 0  # on a busy machine a run may be over before it was asked anything
            while answered < 40:
                await it.start(EVERYBODY, idle=_SHORT)
                answered += sum(await asyncio.gather(*(_ask_until_gone(other) for other in others)))
                await it.ended()

    asyncio.run(run())


async def _ask_until_gone(caller: Caller) -> int:
    """How many calls were answered; each pause is a little longer, so that one meets the edge."""
    answered = 0
    while True:
        try:
            await caller.manager("ListJobs", start=False, timeout=5.0)
        except DBusError as error:
            if error.name not in _GONE:  # NoReply: it was taken and not answered
                raise
            return answered
        answered += 1
        await asyncio.sleep(_SHORT * 0.9 + answered * 0.001)


def test_second_acmed_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await main.run(it.places, EVERYBODY, it.address)

    with pytest.raises(SystemExit, match=NAME):
        asyncio.run(run())


def test_everything_is_there_with_the_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            starting = asyncio.ensure_future(it.start(NOBODY))
            await it.caller.named.wait()
            (objects,) = await it.caller.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
            assert len(objects) == 2
            await starting

    asyncio.run(run())
