# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus, an org.acmed1 on it whose jobs do what a test says, and acmectl as a process beside them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmed.bus import Bus, DBusError
from acmed.bus.server import Call, Handler, ObjectTree
from acmed.bus.xml import Interface, load
from tests.unit.ctl.preloaded import preloaded

ROOT = "/org/acmed1"
CHECKOUT = Path(__file__).resolve().parents[3]
_PATIENCE = 20.0  # seconds for what must happen; nothing waits this long when all is well
_BUS = """<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow receive_type="signal"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="method_call"/><allow own="*"/>
</policy></busconfig>"""


@dataclass
class Object:
    """An object whose properties are plain data, and whose methods are functions of a test."""

    interface: Interface
    values: dict[str, Any]
    handlers: dict[str, Handler] = field(default_factory=dict)

    def methods(self) -> Mapping[str, Handler]:
        return {name: self.handlers.get(name, _unexpected) for name in self.interface.methods}

    def properties(self) -> Mapping[str, Any]:
        return dict(self.values)


def _heed_ctrl_c() -> None:
    """Whoever runs the tests in the background may have it ignored, and programs inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def _unexpected(_: Call, *arguments: Any) -> None:
    raise DBusError("org.freedesktop.DBus.Error.Failed", f"the test did not expect this call: {arguments}")


class Service:
    """org.acmed1. on["Order"] and so on answer the manager's methods."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.on: dict[str, Handler] = {
            "GetCertificate": self._get_certificate,
            "CheckConfiguration": self._check_configuration,
        }
        self.problems: list[list[Any]] = []
        self.calls: list[Call] = []
        self.objects: dict[str, Object] = {}
        self._tree = ObjectTree(bus, ROOT)
        self._add(ROOT, "Manager", {"Version": "1", "NextRenewal": 0, "DefaultAccount": ""}, self.on)

    async def appear(self) -> None:
        """Takes the bus name: from now on it is there."""
        assert await self.bus.request_name("org.acmed1")

    async def crash(self) -> None:
        """Leaves the bus as a process does that was killed."""
        self.bus.disconnect()
        await self.bus.wait_closed()

    def certificate(self, name: str, **values: Any) -> Object:
        """A certificate; values are properties that differ from a valid one's."""
        properties = {
            "Name": name,
            "Identifiers": [name],
            "Account": "default",
            "KeyType": "ecdsa-p256",
            "Services": ["nginx"],
            "State": "valid",
            "NotBefore": 1_700_000_000_000_000,
            "NotAfter": 4_000_000_000_000_000,
            "RenewAt": 3_900_000_000_000_000,
            "SerialNumber": "0a",
            "Issuer": "CN=Test CA",
            "FingerprintSHA256": "00",
            "Paths": {
                "fullchain": f"/var/lib/acme/{name}/fullchain.pem",
                "privkey": f"/var/lib/acme/{name}/privkey.pem",
            },
            "LastError": ["", ""],
            "LastErrorTimestamp": 0,
            "LastErrorJob": "",
            "Unrevoked": False,
            "Failures": 0,
            "Undelivered": [],
            "Job": [0, "/"],
            "Failover": [],
            "Challenge": "",
            "Profile": "",
            "Differences": [],
            "RenewalWindow": [0, 0],
            "RenewalExplanation": "",
            "RetryAt": 0,
            "Endangered": False,
            "Damaged": False,
        }
        return self._add(certificate_path(name), "Certificate", properties | values, {})

    def account(self, name: str, **values: Any) -> Object:
        properties = {
            "Name": name,
            "Directory": "https://ca.example/dir",
            "URI": "",
            "Contact": ["mailto:a@example.com"],
            "Status": "valid",
            "TermsOfService": "",
            "Authorize": [],
            "KeySource": "",
            "LastError": ["", ""],
            "LastErrorTimestamp": 0,
            "Failures": 0,
            "RetryAt": 0,
        }
        return self._add(f"{ROOT}/account/{name}", "Account", properties | values, {})

    def job(self, number: int, kind: str, name: str, **values: Any) -> str:
        """A job that starts now; the answer is its path."""
        path = f"{ROOT}/job/_{number}"
        properties = {
            "Id": number,
            "Type": kind,
            "Certificate": [name, certificate_path(name)],
            "StartedByUID": 0,
            "StartTimestamp": 1_750_000_000_000_000,
            "Step": "waiting",
            "Progress": 0,
            "Challenges": [],
            "Detail": "",
            "Deadline": 0,
            "Error": ["", ""],
        }
        self._add(path, "Job", properties | values, {})
        self._tree.emit(ROOT, "JobNew", number, path, name)
        return path

    def change(self, path: str, **values: Any) -> None:
        """Changes properties, and tells the bus."""
        self.objects[path].values.update(values)
        self._tree.refresh(path)

    def end(self, number: int, result: str, **values: Any) -> None:
        """Ends a job, after its last change."""
        path = f"{ROOT}/job/_{number}"
        if values:
            self.change(path, **values)
        name = self.objects.pop(path).values["Certificate"][0]
        self._tree.remove(path)
        self._tree.emit(ROOT, "JobRemoved", number, path, name, result)

    def forget(self, path: str) -> None:
        """Removes an object."""
        del self.objects[path]
        self._tree.remove(path)

    def _add(self, path: str, kind: str, values: dict[str, Any], handlers: dict[str, Handler]) -> Object:
        made = Object(load()[f"org.acmed1.{kind}"], values, handlers)
        if path in self.objects:
            self.change(path, **values)
            return self.objects[path]
        self.objects[path] = made
        self._tree.add(path, made)
        return made

    async def _get_certificate(self, _: Call, name: str) -> tuple[str]:
        if certificate_path(name) not in self.objects:
            raise DBusError("org.acmed1.Error.NoSuchCertificate", f"There is no certificate {name}")
        return (certificate_path(name),)

    async def _check_configuration(self, _: Call) -> tuple[list[list[Any]]]:
        return (self.problems,)


@dataclass
class Result:
    code: int
    out: str
    err: str


class Ctl:
    """acmectl as it runs; lines of standard error can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.err = ""
        self.out = ""

    async def says(self, text: str) -> None:
        """Until text was written to standard error."""
        assert self.process.stderr
        async with asyncio.timeout(_PATIENCE):
            while text not in self.err:
                more = await self.process.stderr.readline()
                assert more, f"{text!r} was never said, but {self.err!r}"
                self.err += more.decode()

    async def prints(self, text: str) -> None:
        """Until text was written to standard output."""
        assert self.process.stdout
        async with asyncio.timeout(_PATIENCE):
            while text not in self.out:
                more = await self.process.stdout.readline()
                assert more, f"{text!r} was never printed, but {self.out!r}"
                self.out += more.decode()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    async def ends(self) -> Result:
        """Until it has ended."""
        async with asyncio.timeout(_PATIENCE):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        result = Result(self.process.returncode, self.out + (out or b"").decode(), self.err + (err or b"").decode())
        assert "Traceback" not in result.err
        return result


class World:
    """A private bus."""

    def __init__(self, directory: Path, daemon: asyncio.subprocess.Process) -> None:
        self.address = f"unix:path={directory / 'bus'}"
        self._directory = directory
        self._daemon = daemon
        self._services: list[Service] = []

    async def service(self) -> Service:
        """An org.acmed1, with its name not taken yet."""
        made = Service(await Bus.connect(self.address))
        self._services.append(made)
        return made

    async def start(
        self,
        *words: str,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
        stdin: int = asyncio.subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> Ctl:
        """Starts acmectl."""
        own = {
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "PYTHONPATH": str(CHECKOUT),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }
        return Ctl(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "acmed.ctl", *words),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # a terminal that a test gives it is the only one
                preexec_fn=_heed_ctrl_c,
                env=os.environ | own | dict(environment or {}),
            )
        )

    async def run(self, *words: str) -> Result:
        """acmectl from beginning to end."""
        out, err = self._directory / "out", self._directory / "err"
        async with asyncio.timeout(_PATIENCE):
            code = await preloaded(CHECKOUT).run(words, {"DBUS_SYSTEM_BUS_ADDRESS": self.address}, out, err)
        result = Result(code, out.read_text(), err.read_text())
        assert "Traceback" not in result.err
        return result

    def stop_bus(self) -> None:
        """Ends dbus-daemon."""
        self._daemon.terminate()

    async def bus_ended(self) -> None:
        await self._daemon.wait()

    async def close(self) -> None:
        for service in self._services:
            service.bus.disconnect()


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    """A dbus-daemon with its socket in a directory."""
    config = directory / "bus.conf"
    config.write_text(_BUS.format(directory / "bus"))
    daemon = await asyncio.create_subprocess_exec(
        *("dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout
    await daemon.stdout.readline()  # the address: it listens
    made = World(directory, daemon)
    try:
        yield made
    finally:
        await made.close()
        if daemon.returncode is None:
            daemon.terminate()
        await daemon.wait()


def play(directory: Path, scene: Callable[[World], Any]) -> None:
    """Runs a test's coroutine in a world of its own."""

    async def inside() -> None:
        async with world(directory) as made:
            await scene(made)

    asyncio.run(inside())


def certificate_path(name: str) -> str:
    escaped = "".join(char if char.isalnum() else f"_{ord(char):02x}" for char in name)
    return f"{ROOT}/certificate/{escaped}"
