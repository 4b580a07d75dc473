# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two certificates for one name, such as one of each type of key, that are validated by tls-alpn-01 at the same time:
there is one answer for a name, and none takes the other's away.
"""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import Variant
from acmed.manager import clock, jobs
from acmed.manager.known.state import DIRECTORY, JobRecord, Presented
from tests.bus.rig import EVERYBODY, rig

_NAME = "www.example.com"


def test_each_has_its_answer_while_the_ca_looks(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.challenge_type = "tls-alpn-01"
            offered, wrong = it.clientd._offered, []

            def each_its_own(identifier: dict[str, str], number: int) -> list[dict[str, Any]]:
                order = it.clientd.given("Order")[-1]["certificate"]
                it.clientd.token = f"token-of-{order}-"
                return offered(identifier, number)

            it.clientd._offered = each_its_own  # type: ignore[method-assign]
            note = it.clientd.note

            async def looking(method: str, **given: Any) -> None:
                await note(method, **given)
                if method == "Finalize":
                    await asyncio.sleep(0.2)  # the other one may begin, and end, meanwhile
                    path = it.places.answers / _NAME
                    answer = path.read_text() if path.exists() else ""
                    if f"token-of-{given['certificate']}-" not in answer:
                        wrong.append((given["certificate"], answer))

            it.clientd.note = looking  # type: ignore[method-assign]
            kind = Variant("s", "tls-alpn-01")
            numbers = [await it.caller.order(name, _NAME, challenge=kind) for name in ("ecdsa", "rsa", "third")]
            assert [await it.caller.result(number) for number in numbers] == ["done"] * 3
            assert wrong == []
            assert list(it.places.answers.iterdir()) == []

    asyncio.run(run())


def test_job_that_goes_on_late_takes_no_answer_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for its turn in the queue after acmed was killed; its own file went with that run."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.clientd.challenge_type = "tls-alpn-01"
            path = it.places.state / "jobs"
            path.mkdir(parents=True)
            mine = Presented("tls-alpn-01", _NAME, DIRECTORY, _NAME)
            for number, name in enumerate(("first", "ecdsa", "rsa"), 1):
                names = [_NAME if name != "first" else "first.example.com"]
                it.privd.configure(name, names, challenge="tls-alpn-01")
                job = JobRecord(number, "order", name, 0, clock.now(), presented=(mine,) if name != "first" else ())
                (path / f"{number}.json").write_text(json.dumps(asdict(job)))
            monkeypatch.setattr(jobs, "_AT_ONCE", 2)
            note = it.clientd.note
            at_ca = {name: asyncio.Event() for name in ("first", "ecdsa")}
            go_on = {name: asyncio.Event() for name in ("first", "ecdsa")}

            async def looking(method: str, **given: Any) -> None:
                await note(method, **given)
                if method == "Finalize" and (name := given["certificate"]) in at_ca:
                    at_ca[name].set()
                    await go_on[name].wait()

            it.clientd.note = looking  # type: ignore[method-assign]
            await it.start(EVERYBODY)
            async with asyncio.timeout(10):
                for event in at_ca.values():
                    await event.wait()
            third = it.privd.gate("NewRequest")
            it.privd.reached["NewRequest"].clear()
            go_on["first"].set()
            async with asyncio.timeout(10):
                await it.privd.reached["NewRequest"].wait()
            assert it.privd.given("NewRequest")[-1]["certificate"] == "rsa"
            assert (it.places.answers / _NAME).exists()
            third.set()
            go_on["ecdsa"].set()
            assert [await it.caller.result(number) for number in (1, 2, 3)] == ["done"] * 3
            assert list(it.places.answers.iterdir()) == []

    asyncio.run(run())
