# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames: a JSON object and a NUL byte (https://varlink.org/Service)."""

import asyncio
import json
from typing import Any

from acmed.varlink.errors import ConnectionLost

# Larger than any chain that is accepted; a peer that sends more is not one of ours.
MAX_FRAME = 512 * 1024


async def receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next frame, or None at the end of the stream. Raises ConnectionLost for anything that is not a frame."""
    try:
        frame = await reader.readuntil(b"\0")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionLost("the stream ended inside a message") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise ConnectionLost(f"a message of more than {MAX_FRAME} bytes") from error
    except OSError as error:
        raise ConnectionLost(str(error)) from error
    try:
        message = json.loads(frame[:-1])
    except (ValueError, RecursionError) as error:
        raise ConnectionLost("a message that is not JSON") from error
    if not isinstance(message, dict):
        raise ConnectionLost("a message that is not a JSON object")
    return message


async def send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Writes a frame and waits until the peer takes it. Raises ConnectionLost."""
    try:
        writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\0")
        await writer.drain()
    except OSError as error:
        raise ConnectionLost(str(error)) from error
