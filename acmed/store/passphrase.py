# SPDX-License-Identifier: LGPL-2.1-or-later
"""Passphrases: sealed as a credential, or from whoever answers systemd-ask-password(1)."""

import asyncio
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
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            _PROGRAM,
            "--no-tty",
            f"--timeout={_TIMEOUT}",
            f"--id=acmed:{account}",
            f"Passphrase of {key}, the key of ACME account {account}:",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
    except OSError as error:
        raise Unavailable(f"{_PROGRAM} cannot be started: {error.strerror}") from error
    try:
        answer, said = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()  # which takes the question back
        await process.wait()
        raise
    if process.returncode != 0:
        why = journal.printable(said.decode("utf-8", errors="replace").strip())[:_SHOWN]
        raise Unavailable(f"nobody has given its passphrase ({why or f'status {process.returncode}'})")
    return answer.removesuffix(b"\n")
