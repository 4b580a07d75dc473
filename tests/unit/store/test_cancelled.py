# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who wants a key goes away while it is opened: nothing is left of that."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from acmed.config import Account
from acmed.config.keysource import parse
from acmed.store import passphrase, pkcs11
from acmed.store.decrypt import decrypt
from acmed.store.tokenprocess import TokenProcess
from tests.unit.store.storerig import Somebody


def program(directory: Path, script: str) -> Path:
    path = directory / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def is_running(pid: Path) -> bool:
    try:
        os.kill(int(pid.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


async def until(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.01)


async def cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await ended(task)


async def ended(task: "asyncio.Task[Any]") -> None:
    async with asyncio.timeout(30):
        await asyncio.wait([task])
    assert task.cancelled()


def run(act: Coroutine[Any, Any, None]) -> None:
    """Nothing fails that nobody waits for."""
    failed: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        await act

    asyncio.run(watched())
    assert failed == []


def test_a_program_that_has_said_all_and_stays(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = [str(program(tmp_path, f"echo $$ >{pid}.new; exec >&-; mv {pid}.new {pid}; exec sleep 1000"))]

    async def act() -> None:
        task = asyncio.create_task(decrypt(command, tmp_path / "key", None, os.environ))
        await until(pid)
        for _ in range(20):  # the end of its output has been seen
            await asyncio.sleep(0.01)
        await cancelled(task)
        assert not is_running(pid), "it was waited for"

    run(act())


def test_a_question_that_is_about_to_be_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program gets to take it back."""
    somebody = Somebody(tmp_path)
    somebody.install(monkeypatch)
    pid, taken_back, start = tmp_path / "pid", tmp_path / "taken-back", asyncio.create_subprocess_exec
    somebody.program.write_text(
        f"#!/bin/sh\ntrap 'touch {taken_back}; exit 1' TERM\n"
        f"echo $$ >{pid}.new; mv {pid}.new {pid}; while :; do sleep 0.02; done\n"
    )

    async def act() -> None:
        go_on = asyncio.Event()

        async def slowly(*words: str, **options: Any) -> asyncio.subprocess.Process:
            process = await start(*words, **options)
            await go_on.wait()
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
        task = asyncio.create_task(passphrase.ask("main", "file:/etc/key.pem"))
        await until(pid)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await ended(task)
        assert not is_running(pid)

    run(act())
    assert taken_back.exists()


def test_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that has it ends."""
    pytest.importorskip("PyKCS11", reason="tools/setup installs it")
    from tests.unit.store import softhsm  # noqa: PLC0415  imports it

    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    token = softhsm.new(tmp_path)
    token.key("acme", "P-256")
    (tmp_path / "pin_main").write_text(softhsm.PIN)
    started = []

    class Process(TokenProcess):
        def __init__(self) -> None:
            super().__init__()
            started.append(self._process)

    monkeypatch.setattr(pkcs11, "TokenProcess", Process)
    uri = f"pkcs11:token=acme?module-path={softhsm.MODULE}"
    account = Account("main", "https://ca.example/dir", key=parse(uri))

    async def act() -> None:
        task = asyncio.create_task(pkcs11.open_key(account, tmp_path))
        async with asyncio.timeout(30):
            while not started:
                await asyncio.sleep(0.01)
        await cancelled(task)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    run(act())
    assert [process.poll() is None for process in started] == [False]
