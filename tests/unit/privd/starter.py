# SPDX-License-Identifier: LGPL-2.1-or-later
"""In PID 1's place where there is none: runs what acmed.privd.accounts.creds has it run, with the same sockets."""

import asyncio
import socket
import subprocess
from pathlib import Path

import pytest

from acmed.privd.accounts import creds
from acmed.privd.transient import Failure, Tool


def install(patch: pytest.MonkeyPatch, directory: Path) -> None:
    """directory is where the sockets are."""
    patch.setattr(creds, "_DIRECTORY", directory)
    patch.setattr(creds, "_started", started)


async def started(tool: Tool) -> Failure | None:
    status = await asyncio.to_thread(_run, tool)
    return Failure("acme-creds-0.service", f"exit status {status}") if status else None


def _run(tool: Tool) -> int:
    with socket.socket(socket.AF_UNIX) as conversation, socket.socket(socket.AF_UNIX) as errors:
        conversation.connect(str(tool.conversation))
        errors.connect(str(tool.errors))
        both = conversation.fileno()
        return subprocess.run(tool.argv, stdin=both, stdout=both, stderr=errors.fileno(), check=False).returncode
