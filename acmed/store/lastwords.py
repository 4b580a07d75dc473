# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ssh or gpg says before it fails, for people. Another host may have a part in it: it is printable and short."""

import asyncio

from acmed import journal, paths

KEPT = 2048  # bytes
_SHOWN = 300  # characters
_CHUNK = 4096

# By what it says, which is the same in any language and in all versions of ten years; the first that fits.
_ADVICE = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        f"the key of {{place}} is not the one in {paths.KNOWN_HOSTS}: either another host answers, or it has got a new "
        "key, which belongs in there then",
    ),
    (
        "host key is known for",
        f"the key of {{place}} is not in {paths.KNOWN_HOSTS}: put it there, as ssh-keyscan prints it, when you have "
        "compared it with the host's own",
    ),
    (
        "Permission denied",
        "{place} does not take our key: its public half belongs in the authorized_keys of that user",
    ),
)


async def collect(stream: asyncio.StreamReader) -> str:
    """The last lines of a stream, when it ends."""
    kept = b""
    while data := await stream.read(_CHUNK):
        kept = (kept + data)[-KEPT:]
    return lines(kept)


def lines(said: bytes) -> str:
    """Those that are not empty."""
    stripped = [line.strip() for line in said.decode("utf-8", errors="replace").splitlines()]
    return "\n".join(line for line in stripped if line)


def explained(said: str, place: str) -> str:
    """What ssh said, and what to do about it."""
    for phrase, advice in _ADVICE:
        if phrase in said:
            return f"{advice.format(place=place)} ({shown(said)})"
    return shown(said) or "it does not say why"


def shown(said: str) -> str:
    """Its last two lines."""
    return journal.printable("; ".join(said.split("\n")[-2:]))[-_SHOWN:]
