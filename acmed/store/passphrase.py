# SPDX-License-Identifier: LGPL-2.1-or-later
"""Passphrases: sealed as a credential, or from whoever answers systemd-ask-password(1)."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

from acmed import journal
from acmed.store.opened import Unavailable

_PROGRAM = "/usr/bin/systemd-ask-password"
# Longer than acmed waits before it tries again, so that somebody who comes late is still asked (seconds).
_TIMEOUT = 26 * 3600
_SHOWN = 300  # characters


def sealed(credentials: Path, name: str) -> bytes | None:
    """The credential of that name, a passphrase or a PIN, without the end of its line; None where there is none."""
    try:
        content = (credentials / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # there is no directory where nothing is sealed
        return None
    return content.removesuffix(b"\n").removesuffix(b"\r")


async def ask(account: str, key: str) -> bytes:
    """What an agent answers, such as systemd-tty-ask-password-agent(1), in its own time. Raises Unavailable."""
    starting = asyncio.create_task(_start(account, key))
    try:
        process = await asyncio.shield(starting)
        answer, said = await process.communicate()
    except asyncio.CancelledError:
        with suppress(Unavailable):
            await _take_back(await starting)
        raise
    if process.returncode != 0:
        why = journal.printable(said.decode("utf-8", errors="replace").strip())[:_SHOWN]
        raise Unavailable(f"nobody has given its passphrase ({why or f'status {process.returncode}'})")
    return answer.removesuffix(b"\n")


async def _start(account: str, key: str) -> Process:
    """Not to be cancelled: it would be killed, and its question stay."""
    try:
        return await asyncio.create_subprocess_exec(
            _PROGRAM,
            "--no-tty",
            f"--timeout={_TIMEOUT}",
            f"--id=acmed:{account}",
            f"Passphrase of {key}, the key of ACME account {account}:",
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
    except OSError as error:
        raise Unavailable(f"{_PROGRAM} cannot be started: {error.strerror}") from error


async def _take_back(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()  # which removes the question
    await process.wait()
