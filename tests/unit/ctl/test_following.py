# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process, against a real bus and an org.acmed1 that is scripted: it follows a job, whatever goes away."""

import signal
from pathlib import Path
from typing import Any

import pytest
from dbus_next import Message, MessageType

from acmed.bus import Bus
from acmed.ctl.client import Acmed, Started
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.following.display import Silent
from acmed.ctl.following.follow import Follower
from tests.unit.ctl.scripted import ROOT, Ctl, Service, World, play
from tests.unit.ctl.started import WWW, order_starts


async def ordering(world: World, service: Service, *words: str) -> Ctl:
    """acmectl, which follows the order that acmed has begun."""
    started = order_starts(service, Step="order")
    await service.appear()
    ctl = await world.start(*words)
    await started.wait()
    await ctl.says("creating the order")
    return ctl


def test_follows_a_job_over_a_restart(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        ctl = await ordering(world, service, "order", WWW)
        await service.crash()
        await ctl.says("acmed was stopped")
        again = await world.service()
        again.job(7, "order", WWW, Step="finalize", Progress=60)
        await again.appear()
        await ctl.says("finalizing the order (60%)")
        again.certificate(WWW)
        again.end(7, "done")
        result = await ctl.ends()
        assert result.code == 0
        assert "issued" in result.out

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("properties", "code", "said"),
    [
        ({"FingerprintSHA256": "new"}, 0, "issued"),
        ({"FingerprintSHA256": "old"}, 1, "does not know the job any more"),
        (
            {"State": "failing", "LastError": ["org.acmed1.AcmeError.dns", "no A"], "LastErrorTimestamp": 2**60},
            1,
            "failed: no A",
        ),
    ],
)
def test_job_that_ended_unseen(tmp_path: Path, properties: dict[str, Any], code: int, said: str) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW, FingerprintSHA256="old")
        ctl = await ordering(world, service, "order", "--name", WWW)
        await service.crash()
        await ctl.says("acmed was stopped")
        again = await world.service()
        again.certificate(WWW, **properties)
        await again.appear()
        result = await ctl.ends()
        assert result.code == code
        assert said in result.out + result.err

    play(tmp_path, scene)


def test_acmed_that_does_not_come_back(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        path = service.job(7, "renew", WWW)
        await service.appear()
        bus = await Bus.connect(world.address)
        async with Follower(Acmed(bus, ask=False), Silent(), patience=0.0) as follower:
            await service.crash()
            with pytest.raises(CommandError, match="did not come back") as error:
                await follower.follow([Started(7, path, WWW)])
        assert error.value.exit_code is Exit.UNREACHABLE
        assert "job 7" in error.value.hint
        bus.disconnect()

    play(tmp_path, scene)


def test_signals_of_others_are_not_believed(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        ctl = await ordering(world, service, "order", WWW)
        other = await Bus.connect(world.address)
        (names,) = await other.call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames"
        )
        for name in names:
            if name.startswith(":") and name != other.unique_name:
                forge(other, name)
        await other.flush()
        # What the service sends now comes after the forged signal, and shows that acmectl still waits.
        service.change(f"{ROOT}/job/_7", Step="finalize")
        await ctl.says("finalizing the order")
        service.end(7, "failed", Error=["org.acmed1.AcmeError.caa", "really"])
        result = await ctl.ends()
        assert result.code == Exit.FAILED
        assert "really" in result.err
        other.disconnect()

    play(tmp_path, scene)


def forge(bus: Bus, destination: str) -> None:
    """Sends a JobRemoved to one connection, as any user may."""
    bus._library.send(
        Message(
            message_type=MessageType.SIGNAL,
            destination=destination,
            path=ROOT,
            interface="org.acmed1.Manager",
            member="JobRemoved",
            signature="toss",
            body=[7, f"{ROOT}/job/_7", WWW, "done"],
        )
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_a_job_runs(tmp_path: Path, number: signal.Signals) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        ctl = await ordering(world, service, "order", WWW)
        ctl.process.send_signal(number)
        result = await ctl.ends()
        assert result.code == Exit.INTERRUPTED
        assert "Job 7 goes on." in result.err
        assert "acmectl cancel 7" in result.err

    play(tmp_path, scene)


def test_bus_that_goes_away(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        ctl = await ordering(world, service, "order", WWW)
        world.stop_bus()
        result = await ctl.ends()
        assert result.code == Exit.UNREACHABLE
        assert "acmectl: " in result.err

    play(tmp_path, scene)


def test_nobody_there(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        result = await world.run("list")
        assert result.code == Exit.UNREACHABLE
        assert "org.freedesktop.DBus.Error.ServiceUnknown" in result.err
        world.stop_bus()
        await world.bus_ended()
        result = await world.run("list")
        assert result.code == Exit.UNREACHABLE
        assert "Cannot connect to the system bus" in result.err

    play(tmp_path, scene)


@pytest.mark.parametrize("json", [False, True])
def test_what_is_told_in_the_last_moment_is_not_lost(tmp_path: Path, json: bool) -> None:
    """All of a job's last signals may come at once, when there is no time left to show each step."""

    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", WWW, *(["--json"] if json else []))
        await started.wait()
        service.end(7, "done", Detail="a.example: refused; trying b.example")
        result = await ctl.ends()
        assert result.code == 0
        wanted = '"remark":"a.example: refused; trying b.example"' if json else "note: a.example: refused; trying"
        assert wanted in result.out

    play(tmp_path, scene)
