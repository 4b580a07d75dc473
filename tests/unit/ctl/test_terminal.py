# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process, against a real bus and an org.acmed1 that is scripted: where its words go."""

import asyncio
import json
import os
from pathlib import Path

from acmed.ctl.exits import Exit
from tests.unit.ctl.scripted import CHECKOUT, ROOT, World, play
from tests.unit.ctl.started import WWW, order_starts, renew_ends


def test_reader_that_goes_away(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        await service.appear()
        read, write = os.pipe()
        os.close(read)
        ctl = await world.start("list", stdout=write)
        os.close(write)
        result = await ctl.ends()
        assert (result.code, result.err) == (Exit.BROKEN_PIPE, "")

    play(tmp_path, scene)


def test_full_disk(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        await service.appear()
        with Path("/dev/full").open("w") as full:
            result = await (await world.start("list", stdout=full.fileno())).ends()
        assert result.code == Exit.FAILED
        assert "No space left on device" in result.err

    play(tmp_path, scene)


def test_terminal_without_the_characters(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW, State="failing", Issuer="CN=Größe ✓", LastError=["x.Y", "größer"])
        await service.appear()
        environment = {"PYTHONIOENCODING": "ascii"}
        result = await (await world.start("status", WWW, environment=environment)).ends()
        assert "Issuer: CN=Gr\\xf6\\xdfe \\u2713" in result.out
        result = await (await world.start("status", WWW, "--json", environment=environment)).ends()
        assert json.loads(result.out)["issuer"] == "CN=Größe ✓"

    play(tmp_path, scene)


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        started = order_starts(service, Step="order", Progress=10)
        await service.appear()
        master, slave = os.openpty()
        ctl = await world.start("order", WWW, "--color=never", stderr=slave, environment={"TERM": "xterm"})
        os.close(slave)
        await started.wait()
        seen = await read_until(master, "10%  creating the order")
        service.change(f"{ROOT}/job/_7", Step="install", Progress=80)
        seen += await read_until(master, "80%  installing")
        service.certificate(WWW)
        service.end(7, "done")
        result = await ctl.ends()
        assert result.code == 0
        assert f"{WWW}  [##------------------]  10%" in seen
        assert "\x1b[1A\r\x1b[J" in seen
        os.close(master)

    play(tmp_path, scene)


async def read_until(terminal: int, text: str) -> str:
    """What comes from a terminal, up to text."""
    seen = ""
    async with asyncio.timeout(20):
        while text not in seen:
            seen += (await asyncio.to_thread(os.read, terminal, 4096)).decode()
    return seen


def test_verbose_without_a_readable_journal_goes_on(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, WWW, "done")
        await service.appear()
        result = await world.run("renew", WWW, "-v")
        assert result.code == 0
        assert f"{WWW}: renewed" in result.out

    play(tmp_path, scene)


def test_checkout_is_what_is_tested() -> None:
    assert (CHECKOUT / "acmed" / "ctl" / "main.py").exists()
