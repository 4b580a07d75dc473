# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed with all that is around it, and a caller."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from acmed.bus import Bus, Signal, Variant
from acmed.manager import main
from acmed.manager.places import Places
from tests.bus.clientd import Clientd
from tests.bus.dnsd import Dnsd
from tests.bus.listening import Listening
from tests.bus.peers import Peer
from tests.bus.polkit import Polkit
from tests.bus.privatebus import private_bus
from tests.bus.privd import Privd
from tests.preloaded import preloaded

NAME = "org.acmed1"
ROOT = "/org/acmed1"
MANAGER = "org.acmed1.Manager"
CERTIFICATE = "org.acmed1.Certificate"
ACCOUNT = "org.acmed1.Account"
JOB = "org.acmed1.Job"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
WWW = "/org/acmed1/certificate/www_2eexample_2ecom"

EVERYBODY = frozenset((os.getuid(),))
NOBODY: frozenset[int] = frozenset()
_DEADLINE = 10.0  # seconds; only a test that fails comes near it


@dataclass
class Caller:
    """Somebody on the bus, who has heard signals from the start."""

    bus: Bus
    signals: list[Signal] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    named: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def connect(cls, address: str) -> "Caller":
        caller = cls(await Bus.connect(address))
        caller.bus.signals(caller._heard)
        await caller.bus.add_match(f"type='signal',path_namespace='{ROOT}'")
        await caller.bus.add_match(f"type='signal',member='NameOwnerChanged',arg0='{NAME}'")
        return caller

    def _heard(self, signal: Signal) -> None:
        if signal.path.startswith(ROOT):
            self.signals.append(signal)
            self.news.set()
        elif signal.member == "NameOwnerChanged" and signal.body[0] == NAME:
            (self.named.set if signal.body[2] else self.named.clear)()

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any, **flags: Any) -> Any:
        return await self.bus.call(NAME, path, interface, member, signature, *body, **flags)

    async def manager(self, member: str, signature: str = "", *body: Any, **flags: Any) -> Any:
        return await self.call(ROOT, MANAGER, member, signature, *body, **flags)

    async def order(self, name: str, *identifiers: str, interactive: bool = False, **options: Variant) -> int:
        """Orders, and returns the job's number."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        _, number, _ = await self.manager("Order", "sasa{sv}", name, list(identifiers), given, interactive=interactive)
        return int(number)

    async def renew(self, path: str = WWW, **options: bool) -> int:
        given = {key.replace("_", "-"): Variant("b", value) for key, value in options.items()}
        number, _ = await self.call(path, CERTIFICATE, "Renew", "a{sv}", given)
        return int(number)

    async def properties(self, path: str = WWW, interface: str = CERTIFICATE) -> dict[str, Any]:
        (values,) = await self.call(path, PROPERTIES, "GetAll", "s", interface)
        return {key: variant.value for key, variant in values.items()}

    async def until(self, member: str, *first: Any) -> Signal:
        """The first signal of this name whose body begins like this; waits for it."""
        async with asyncio.timeout(_DEADLINE):
            while True:
                for signal in self.signals:
                    if signal.member == member and signal.body[: len(first)] == list(first):
                        return signal
                self.news.clear()
                await self.news.wait()

    async def result(self, number: int) -> str:
        """How a job ended."""
        return str((await self.until("JobRemoved", number)).body[3])

    def error(self, number: int) -> list[str]:
        """Name and message of the error that a job has ended with."""
        return list(self.last(number, "Error") or ["", ""])

    def last(self, number: int, name: str) -> Any:
        """What a property of a job was at last, None where it never changed."""
        changes = [one for one in self.signals if one.path == f"{ROOT}/job/_{number}" and len(one.body) == 3]
        values = [change.body[1][name].value for change in changes if name in change.body[1]]
        return values[-1] if values else None


@dataclass
class Rig:
    """All of it. privd, clientd and dnsd play their parts in the test's own process."""

    address: str
    places: Places
    privd: Privd
    clientd: Clientd
    dnsd: Dnsd
    priv_listening: Listening
    client_listening: Listening
    polkit: Polkit | None
    caller: Caller
    _acmed: "asyncio.Task[None] | None" = None
    _process: ForkServerProcess | None = None

    async def start(self, trusted: frozenset[int], idle: float = 60.0) -> None:
        """Starts acmed in this process, and waits until it has its name."""
        self._acmed = asyncio.ensure_future(main.run(self.places, trusted, self.address, idle))
        await self._named()

    async def start_process(self) -> None:
        """Starts acmed as a process, which a test can kill."""
        errors = Connection(os.dup(2), readable=False)
        arguments = (self.address, self.places, errors, dict(os.environ))
        self._process = preloaded().Process(target=_acmed, args=arguments, daemon=True)
        self._process.start()
        errors.close()
        await self._named()

    async def kill(self) -> None:
        """SIGKILL; returns when the bus knows too, so that who waits for the next one does not see this one."""
        assert self._process
        self._process.kill()
        await self._process_ended()
        async with asyncio.timeout(_DEADLINE):
            while self.caller.named.is_set():
                await asyncio.sleep(0.01)

    async def kill_in(self, peer: Peer, method: str, begun: Awaitable[int]) -> int:
        """SIGKILL while a peer is at work on that for a job, whose number it returns. The peer ends its work."""
        gate = peer.gate(method)
        number = await begun
        async with asyncio.timeout(_DEADLINE):
            await peer.reached[method].wait()
        await self.kill()
        peer.gates.clear()
        gate.set()
        return number

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process
        self._process.terminate()
        return await self._process_ended()

    async def _process_ended(self) -> int:
        assert self._process
        await asyncio.to_thread(self._process.join, _DEADLINE)
        code = self._process.exitcode
        assert code is not None
        self._process = None
        return code

    async def _named(self) -> None:
        """Until it has its name: what has one is served."""
        named = asyncio.ensure_future(self.caller.named.wait())
        waiting = {named, self._acmed} if self._acmed else {named}
        await asyncio.wait(waiting, timeout=_DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        assert named.done()

    async def ended(self) -> None:
        """Until acmed has ended by itself."""
        assert self._acmed
        async with asyncio.timeout(_DEADLINE):
            await self._acmed

    async def stop(self) -> None:
        if self._process:
            await self.kill()
        if self._acmed:
            self._acmed.cancel()
            await asyncio.gather(self._acmed, return_exceptions=True)


def _acmed(address: str, places: Places, errors: Connection, environment: dict[str, str]) -> None:
    """In the new process."""
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(errors.fileno(), 2)
    errors.close()
    asyncio.run(main.run(places, EVERYBODY, address, 60.0))


@asynccontextmanager
async def rig(
    directory: Path,
    trusted: frozenset[int] | None = EVERYBODY,
    polkit: bool = False,
    own_policy: bool = False,
) -> AsyncIterator[Rig]:
    """A place with an account "default" and the services nginx and postfix. trusted: who passes without polkit; None
    leaves it to the test to start acmed.
    """
    names = ("etc", "usr", "acme", "state", "http01", "priv", "client", "alpn01", "dns")
    places = Places(*(directory / name for name in names))
    etc, usr = places.etc / "acmed.toml.d", places.usr / "services.d"
    for path in (etc, usr, places.certificates, places.tokens, places.answers):
        path.mkdir(parents=True)
    (places.etc / "acmed.toml").write_text(
        '[account.default]\ndirectory = "https://ca.example/directory"\nuri = "https://ca.example/account/1"\n'
        '[service.nginx]\nunits = ["nginx.service"]\n[service.postfix]\nunits = ["postfix.service"]\n'
    )
    privd, clientd, dnsd = Privd(places), Clientd(places), Dnsd(places)
    priv_listening = Listening("org.acmed.Priv", privd, places.priv_socket)
    client_listening = Listening("org.acmed.Client", clientd, places.client_socket)
    Listening("org.acmed.DNS", dnsd, places.dns_socket)
    async with private_bus(directory, own_policy) as address:
        around = Rig(
            address,
            places,
            privd,
            clientd,
            dnsd,
            priv_listening,
            client_listening,
            await Polkit.start(address) if polkit else None,
            await Caller.connect(address),
        )
        try:
            if trusted is not None:
                await around.start(trusted)
            yield around
        finally:
            await around.stop()
            around.caller.bus.disconnect()
