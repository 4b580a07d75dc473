# SPDX-License-Identifier: LGPL-2.1-or-later
"""systemd-creds(1) in a transient unit, where it sees what it would see if root ran it: the host's key, and the TPM. In
acme-privd's own sandbox there is neither, and without a TPM in sight it would seal without one, and say nothing.

What goes in and comes out goes through sockets in acme-privd's state directory, which is root's alone.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from acmed import paths
from acmed.bus import Variant
from acmed.privd import pid1, transient
from acmed.privd.transient import KEYS, OWN, Failure, Properties, Tool

_PROGRAM = "/usr/bin/systemd-creds"
_DIRECTORY = paths.PRIV_STATE
_TIMEOUT = 30  # seconds; a TPM is slow
_GRACE = 2.0  # seconds for the rest of what a program has said that has ended
_CHUNK = 64 * 1024

# With a TPM, systemd-creds (before 258) binds to PCR 7, what is known of Secure Boot: the next list of revoked boot
# loaders that fwupd brings would be the end of every key. Nothing that boots measures into PCR 23, which is for
# applications; to name none at all is refused by Debian 12's systemd when it decrypts.
_PCRS = "--tpm2-pcrs=23"

_CAP_DAC_OVERRIDE = 1  # the TPM may be the user tss's

# It looks for a TPM in /sys and /proc, and one that it may not use is none to it. PID 1 gives the same device to a unit
# with LoadCredentialEncrypted=, such as acme-keyd.service.
_SANDBOX: Properties = {
    **OWN,
    "UMask": Variant("u", 0o077),
    "CapabilityBoundingSet": Variant("t", 1 << _CAP_DAC_OVERRIDE),
    "DeviceAllow": Variant("a(ss)", [["char-tpm", "rw"]]),
    "DevicePolicy": Variant("s", "closed"),
    "InaccessiblePaths": Variant("as", ["-/dev/shm", *KEYS]),
    "PrivateDevices": Variant("b", False),
    "PrivateNetwork": Variant("b", True),
    "ProcSubset": Variant("s", "all"),
    "ProtectHome": Variant("s", "yes"),
    "ProtectProc": Variant("s", "default"),
    "RestrictAddressFamilies": Variant("(bas)", [True, ["AF_UNIX"]]),
}

# The sockets have fixed names, so that nothing is left of an acme-privd that was killed.
_turn = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """What systemd-creds wrote to its standard output and error; failure is empty where it did what it should."""

    output: bytes = field(repr=False)
    said: str
    failure: str


def run(verb: str, name: str, data: bytes) -> Outcome:
    """Encrypts or decrypts data (verb) for a credential of a name. Not to be called where an event loop runs. Raises
    OSError, DBusError, BusLost or TimeoutError.
    """
    with _turn:
        return asyncio.run(_run(verb, name, data))


async def _run(verb: str, name: str, data: bytes) -> Outcome:
    conversation, errors = _DIRECTORY / "creds.sock", _DIRECTORY / "creds-errors.sock"
    argv = (_PROGRAM, verb, f"--name={name}", _PCRS, "-", "-")  # to decrypt, those are in the blob
    tool = Tool("creds", f"Credential {name} ({verb})", argv, conversation, errors, _TIMEOUT, _SANDBOX)
    with _listening(conversation) as for_data, _listening(errors) as for_words:
        heard = [asyncio.create_task(_heard(for_data, data)), asyncio.create_task(_heard(for_words, None))]
        try:
            failure = await _started(tool)
            # All of it is on the way; nothing is where the unit could not be started.
            await asyncio.wait(heard, timeout=_GRACE)
        finally:
            for task in heard:
                task.cancel()
            output, words = (
                b"" if isinstance(one, BaseException) else one
                for one in await asyncio.gather(*heard, return_exceptions=True)
            )
    return Outcome(output, words.decode(errors="replace").strip(), failure.reason if failure else "")


async def _started(tool: Tool) -> Failure | None:
    async with pid1.connected() as manager:
        return await transient.run(manager, tool)


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.setblocking(False)
        listener.bind(str(path))
        try:
            listener.listen(1)
            yield listener
        finally:
            path.unlink(missing_ok=True)


async def _heard(listener: socket.socket, content: bytes | None) -> bytes:
    """Gives content to who connects, where he is to have any, and returns what he says until he closes."""
    loop = asyncio.get_running_loop()
    peer, _ = await loop.sock_accept(listener)
    received = bytearray()
    with peer:
        # Who ends early may still have something to say.
        with suppress(ConnectionError):
            if content is not None:
                await loop.sock_sendall(peer, content)
                peer.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while chunk := await loop.sock_recv(peer, _CHUNK):
                received += chunk
    return bytes(received)
