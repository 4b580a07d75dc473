# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installed files that are missing or were changed."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from acmed.bus import Variant
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import CERTIFICATE, EVERYBODY, WWW, Rig, rig

_NAME = "www.example.com"


async def _ordered(it: Rig) -> Path:
    """The directory of a certificate that is installed, and delivered to nginx."""
    number = await it.caller.order("", _NAME, services=Variant("as", ["nginx"]))
    assert await it.caller.result(number) == "done"
    it.privd.calls.clear()
    it.clientd.calls.clear()
    return it.places.certificates / _NAME


async def _due(it: Rig) -> list[int]:
    (jobs,) = await it.caller.manager("RenewDue", "t", 0)
    return [job[1] for job in jobs]


def _put_back(it: Rig, directory: Path, content: str) -> None:
    """What acme-privd does, to be seen by stat()."""
    it.privd.restored = ["cert"]
    it.privd.install(_NAME, content)
    assert directory.exists()


@pytest.mark.parametrize("kind", ["privkey", "cert", "chain", "fullchain"])
@pytest.mark.parametrize("change", ["gone", "other", "mode"])
def test_damaged_file_is_put_back_by_the_timer(tmp_path: Path, kind: str, change: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            directory = await _ordered(it)
            content = (directory / "cert.pem").read_text()
            path = directory / f"{kind}.pem"
            if change == "gone":
                path.unlink()
            elif change == "mode":
                path.chmod(0o666)
            else:
                path.write_text("something else\n")
            assert (await it.caller.properties())["Damaged"]
            gate = it.privd.gate("Restore")
            (number,) = await _due(it)
            await it.privd.reached["Restore"].wait()
            _put_back(it, directory, content)
            gate.set()
            assert await it.caller.result(number) == "done"
            # Nothing was ordered, and the service has got it again.
            assert it.privd.called == ["Restore", "Deliver"]
            assert "Order" not in it.clientd.called
            values = await it.caller.properties()
            assert (values["State"], values["Damaged"]) == ("valid", False)
            assert await _due(it) == []

    asyncio.run(run())


def test_what_an_older_acmed_knew_of_files_is_no_difference(tmp_path: Path) -> None:
    """It did not note who may read them; as they are now, they are known from now on."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            directory = await _ordered(it)
            path = it.places.state / "certificates" / f"{_NAME}.json"
            known = json.loads(path.read_text())
            known["files"] = " ".join("-".join(one.split("-")[:3]) for one in known["files"].split(" "))
            await it.kill()
            path.write_text(json.dumps(known))
            await it.start_process()
            assert not (await it.caller.properties())["Damaged"]
            assert await _due(it) == []
            (directory / "privkey.pem").chmod(0o666)
            assert (await it.caller.properties())["Damaged"]

    asyncio.run(run())


def test_file_that_was_only_touched(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            directory = await _ordered(it)
            (directory / "privkey.pem").touch()
            (number,) = await _due(it)
            assert await it.caller.result(number) == "done"
            assert it.privd.called == ["Restore"]
            assert await _due(it) == []

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["cert", "privkey"])
def test_what_cannot_be_put_back_is_ordered_again(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            directory = await _ordered(it)
            (directory / f"{kind}.pem").unlink()
            it.privd.errors["Restore"] = VarlinkError("org.acmed.Priv.NotIssued", certificate=_NAME)
            (number,) = await _due(it)
            assert await it.caller.result(number) == "failed"
            assert await it.caller.result(number + 1) == "done"
            besides = ("ProbeChallenge", "OpenChallenge", "CloseChallenge")
            assert [call for call in it.privd.called if call not in besides] == [
                "Restore", "NewRequest", "Install", "Deliver",
            ]  # fmt: skip
            values = await it.caller.properties()
            assert (values["State"], values["LastError"]) == ("valid", ["", ""])
            assert await _due(it) == []

    asyncio.run(run())


def test_what_was_found_lost_is_ordered_by_the_next_run_too(tmp_path: Path) -> None:
    """acmed was killed between the two jobs."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            directory = await _ordered(it)
            (directory / "privkey.pem").unlink()
            it.privd.errors["Restore"] = VarlinkError("org.acmed.Priv.NotIssued", certificate=_NAME)
            it.clientd.unreachable.add("default")
            (number,) = await _due(it)
            assert await it.caller.result(number + 1) == "failed"
            it.clientd.unreachable.clear()
            await it.kill()
            await it.start_process()
            assert (await it.caller.properties())["State"] == "failing"
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert it.privd.called.count("Restore") == 1

    asyncio.run(run())


def test_restoring_fails_and_its_time_has_come(tmp_path: Path) -> None:
    """A disk that is full must not keep a certificate from being renewed when it is not any more."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            it.privd.install(_NAME, certificate([_NAME], begun=timedelta(days=80)))
            await it.caller.properties()
            (it.places.certificates / _NAME / "chain.pem").unlink()
            it.privd.errors["Restore"] = VarlinkError(
                "org.acmed.Priv.InstallFailed", certificate=_NAME, message="No space left"
            )
            (number,) = await _due(it)
            assert await it.caller.result(number) == "failed"
            assert await it.caller.result(number + 1) == "done"
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_restoring_fails_and_nothing_else_is_to_be_done(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            directory = await _ordered(it)
            (directory / "chain.pem").unlink()
            it.privd.errors["Restore"] = VarlinkError(
                "org.acmed.Priv.InstallFailed", certificate=_NAME, message="No space left"
            )
            (number,) = await _due(it)
            assert await it.caller.result(number) == "failed"
            assert await it.caller.manager("ListJobs") == [[]]
            values = await it.caller.properties()
            assert (values["State"], values["Failures"]) == ("due", 0)
            assert "No space left" in values["LastError"][1]
            it.privd.errors.clear()
            (number,) = await _due(it)
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["LastError"] == ["", ""]

    asyncio.run(run())


def test_person_may_ask_for_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            directory = await _ordered(it)
            number, _ = await it.caller.call(WWW, CERTIFICATE, "Restore", "a{sv}", {})
            assert await it.caller.result(number) == "done"
            (directory / "chain.pem").unlink()
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert it.privd.called == ["Restore", "Restore"]

    asyncio.run(run())


def test_files_of_an_older_acmed_are_taken_as_they_are(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure(_NAME, [_NAME])
            it.privd.install(_NAME, certificate([_NAME]))
            await it.start(EVERYBODY)
            assert await _due(it) == []
            (it.places.certificates / _NAME / "privkey.pem").unlink()
            assert len(await _due(it)) == 1
            await it.caller.until("JobRemoved")

    asyncio.run(run())
