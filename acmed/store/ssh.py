# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys at an acme-keyd or a lacme-accountd of another host, which ssh(1) starts there.

ssh reads no configuration of its own: the host's key is in /etc/acmed/known_hosts, and ours is a credential.
"""

import asyncio
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmed import paths
from acmed.config import Account
from acmed.config.keysource import Destination, destination
from acmed.store import far, lacme, lastwords
from acmed.store.far import Ending
from acmed.store.opened import OpenedKey, Unavailable

_SSH = "/usr/bin/ssh"
_OPTIONS = {
    "BatchMode": "yes",
    "ClearAllForwardings": "yes",
    "ConnectTimeout": "6",  # seconds
    "ForwardAgent": "no",
    "GlobalKnownHostsFile": "none",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "LogLevel": "ERROR",
    "PreferredAuthentications": "publickey",
    "ServerAliveCountMax": "2",
    "ServerAliveInterval": "10",  # seconds
    "StrictHostKeyChecking": "yes",
    "UserKnownHostsFile": str(paths.KNOWN_HOSTS),
}
# ssh's own status; else it has that of the program there, which ends with 0 when it refuses a signature.
_FAILED, _REFUSED = 255, 0
_LAST = 1.0  # seconds that it gets to say why it ends, and then to end


class _Program(asyncio.subprocess.SubprocessStreamProtocol):
    """exited has the end of the program. Process.wait() has that of its pipes too (Python 3.11): it would wait for ever
    where more has come than anybody reads.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(lacme.MAX_LINE, loop)
        self.exited: asyncio.Future[None] = loop.create_future()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set_result(None)


@dataclass(frozen=True)
class _Process:
    """A running ssh. said gives what it has written to standard error, or the program on the other host has."""

    transport: asyncio.SubprocessTransport
    program: _Program
    said: asyncio.Task[str]
    place: str

    @property
    def reader(self) -> asyncio.StreamReader:
        assert self.program.stdout
        return self.program.stdout

    @property
    def writer(self) -> asyncio.StreamWriter:
        assert self.program.stdin
        return self.program.stdin

    async def ending(self) -> Ending:
        try:
            await self._ended()
        finally:
            await self.close()
        words, status = self.said.result() if self.said.done() else "", self.transport.get_returncode()
        if status == _FAILED:
            return Ending(f"ssh failed: {lastwords.explained(words, self.place)}")
        said = lastwords.shown(words) or "nothing"
        if status is None or status < 0:
            return Ending(f"ssh was ended, and had said {said}")
        return Ending(f"the program there ended with status {status}, and said {said}", status == _REFUSED)

    async def close(self) -> None:
        """Ends ssh at once: the other side sees that the connection is gone."""
        self.transport.close()  # and kills it, if it still runs
        await self._ended()

    async def _ended(self) -> None:
        last: list[asyncio.Future[Any]] = [self.program.exited, self.said]
        await asyncio.wait(last, timeout=_LAST)


async def open_key(account: Account, credentials: Path) -> OpenedKey:
    """credentials has the private key for ssh, sshkey_ACCOUNT. Raises Unavailable."""
    assert account.key
    identity = credentials / f"sshkey_{account.name}"
    if not identity.exists():
        sealed = paths.SSH_KEY_CREDENTIALS / account.name
        raise Unavailable(
            f"there is no key for ssh: make one with ssh-keygen -t ed25519 -N '' -f KEY, seal it with systemd-creds "
            f"encrypt --name={identity.name} KEY {sealed}, and systemctl try-restart acme-store-ssh.service"
        )
    place = account.key.place
    words = command(destination(place), identity, account.key_command)
    return await far.Remote.open(account, lambda: _start(words, place), keep=True)


def command(to: Destination, identity: Path, key_command: tuple[str, ...]) -> list[str]:
    """The words of ssh. No shell of ours sees them; the other host's gets the last one."""
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    user = ["-l", to.user] if to.user else []
    port = ["-p", str(to.port)] if to.port else []
    words = [_SSH, "-T", "-F", "none", *options, "-i", str(identity), *user, *port]
    return [*words, "--", to.host, shlex.join(key_command)]


async def _start(words: list[str], place: str) -> _Process:
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    try:
        transport, program = await asyncio.get_running_loop().subprocess_exec(_Program, *words, env=environment)
    except OSError as error:
        raise Unavailable(f"{_SSH} cannot be started ({error.strerror}): is openssh-client installed?") from error
    assert program.stderr
    return _Process(transport, program, asyncio.create_task(lastwords.collect(program.stderr)), place)
