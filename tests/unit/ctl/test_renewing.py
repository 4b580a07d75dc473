# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process, against a real bus and an org.acmed1 that is scripted: renewals."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError
from acmed.bus.server import Call
from acmed.ctl.exits import Exit
from tests.unit.ctl.scripted import World, play
from tests.unit.ctl.started import WWW, refuse, renew_ends


def test_renew_due_with_nothing_due_is_silent(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        flags = []

        async def renew_due(_: Call, given: int) -> tuple[list[Any]]:
            flags.append(given)
            return ([],)

        service.on["RenewDue"] = renew_due
        await service.appear()
        for words in ([], ["-v"], ["--no-ask-password", "-q"]):
            result = await world.run("renew", "--due", *words)
            assert (result.code, result.out, result.err) == (0, "", "")
        assert flags == [0, 0, 0]
        assert (await world.run("renew", "--due", "--json")).out == '{"jobs":[]}\n'

    play(tmp_path, scene)


def test_renew_due_follows_all(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        names = [f"{number}.example.com" for number in range(1, 21)]
        started = asyncio.Event()

        async def renew_due(_: Call, __: int) -> tuple[list[Any]]:
            jobs = [[name, number, service.job(number, "renew", name)] for number, name in enumerate(names, 1)]
            asyncio.get_running_loop().call_soon(started.set)
            return (jobs,)

        service.on["RenewDue"] = renew_due
        await service.appear()
        ctl = await world.start("renew", "--due", "--json")
        await started.wait()
        for number, name in reversed(list(enumerate(names, 1))):
            service.certificate(name)
            service.end(number, "done")
        result = await ctl.ends()
        assert result.code == 0
        assert [(job["id"], job["name"]) for job in json.loads(result.out)["jobs"]] == list(enumerate(names, 1))

    play(tmp_path, scene)


@pytest.mark.parametrize(("kind", "word"), [("renew", "renewed"), ("restore", "restored"), ("deliver", "delivered")])
def test_due_job_that_ends_before_its_answer_is_called_what_it_was(tmp_path: Path, kind: str, word: str) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def renew_due(_: Call, __: int) -> tuple[list[Any]]:
            path = service.job(7, kind, WWW)
            service.certificate(WWW)
            service.end(7, "done")
            return ([[WWW, 7, path]],)

        service.on["RenewDue"] = renew_due
        await service.appear()
        result = await world.run("renew", "--due")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"{WWW}: {word}")

    play(tmp_path, scene)


def test_renew_all_leaves_those_alone_that_are_not_due(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, "a.example.com", "done")
        early = service.certificate("b.example.com")
        early.handlers["Renew"] = lambda *_: refuse("org.acmed1.Error.NotDue", "not yet")
        await service.appear()
        result = await world.run("renew", "--all")
        assert result.code == 0
        assert "a.example.com: renewed" in result.out
        assert "b.example.com: nothing to do" in result.out
        result = await world.run("renew", "b.example.com")
        assert result.code == Exit.NOT_NOW
        assert "acmectl renew b.example.com --force" in result.err

    play(tmp_path, scene)


def test_renew_of_what_has_few_days_left_as_the_timer_does_it(tmp_path: Path) -> None:
    """Silently, and only what the timer would renew, too, were it due."""

    async def scene(world: World) -> None:
        service = await world.service()
        asked: list[tuple[str, dict[str, Any]]] = []

        def names_it(name: str, refused: bool) -> Any:
            async def renew(_: Call, options: dict[str, Any]) -> tuple[int, str]:
                asked.append((name, {key: (value.signature, value.value) for key, value in options.items()}))
                if refused:
                    raise DBusError("org.acmed1.Error.NotDue", "it has more days left")
                path = service.job(1, "renew", name)
                service.end(1, "done")
                return 1, path

            return renew

        there: dict[str, dict[str, Any]] = {
            "a.example.com": {},
            "busy.example.com": {"Job": [7, "/org/acmed1/job/_7"]},
            "early.example.com": {},
            "revoked.example.com": {"State": "revoked"},
            "waits.example.com": {"RetryAt": 1_900_000_000_000_000},
        }
        handlers = {name: service.certificate(name, **properties).handlers for name, properties in there.items()}
        for name, methods in handlers.items():
            methods["Renew"] = names_it(name, refused=name != "a.example.com")
        await service.appear()
        result = await world.run("renew", "--due", "--min-days", "21")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("a.example.com: renewed")
        assert "early" not in result.out
        wanted = {"min-days": ("u", 21)}
        assert asked == [("a.example.com", wanted), ("early.example.com", wanted)]
        # All of them not due.
        handlers["a.example.com"]["Renew"] = names_it("a.example.com", refused=True)
        result = await world.run("renew", "--due", "--min-days", "0")
        assert (result.code, result.out, result.err) == (0, "", "")
        assert asked[-1] == ("early.example.com", {"min-days": ("u", 0)})

    play(tmp_path, scene)


def test_renew_goes_on_after_one_that_is_refused(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, "a.example.com", "done")
        renew_ends(service, 2, "c.example.com", "failed", Error=["org.acmed1.AcmeError.caa", "forbidden"])
        await service.appear()
        result = await world.run("renew", "a.example.com", "b.example.com", "c.example.com", "--force", "--new-key")
        assert result.code == Exit.FAILED
        assert "a.example.com: renewed" in result.out
        assert "There is no certificate b.example.com" in result.err
        assert "c.example.com: failed: forbidden" in result.err

    play(tmp_path, scene)
