# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1 as anybody reaches it, with busctl(1): calls, their errors by name, and the signals."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.machine import CommandFailed, Machine

T = TypeVar("T")

NAME = "org.acmed1"
ROOT = "/org/acmed1"
MANAGER = "org.acmed1.Manager"
CERTIFICATE = "org.acmed1.Certificate"
ACCOUNT = "org.acmed1.Account"
JOB = "org.acmed1.Job"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
LOG_CONTROL = "org.freedesktop.LogControl1"
PROBE = f"{ROOT}/probe"
LOG_CONTROL_PATH = "/org/freedesktop/LogControl1"

Objects = dict[str, dict[str, dict[str, Any]]]
"""What GetManagedObjects answers: values by path, interface and property."""


class BusError(Exception):
    """The error that a call was answered with."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


def certificate_path(name: str) -> str:
    """The object of a certificate (sd_bus_path_encode(3))."""
    return f"{ROOT}/certificate/" + re.sub(
        r"^[0-9]|[^A-Za-z0-9]", lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), name
    )


def job_path(number: int) -> str:
    return f"{ROOT}/job/_{number}"


@dataclass(frozen=True)
class Caller:
    """A user of the bus: root, or `user`."""

    machine: Machine
    user: str | None = None

    def call(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: str, interactive: bool = True
    ) -> list[Any]:
        """What a method answers; raises BusError. Signature and arguments are written as busctl(1) wants them."""
        options = ["--json=short", f"--allow-interactive-authorization={'yes' if interactive else 'no'}"]
        command = ["busctl", *options, "call", "--", NAME, path, interface, member, *filter(None, [signature])]
        # Its debug output is the one place where busctl tells the name of an error.
        result = self.machine.run(
            [*command, *arguments], user=self.user, check=False, env={"SYSTEMD_LOG_LEVEL": "debug"}
        )
        if result.returncode == 0:
            return plain(json.loads(result.stdout)["data"]) if result.stdout.strip() else []
        errors = re.findall(r" type=error .* error-name=(\S+) error-message=(.*)", result.stderr)
        if not errors:
            raise CommandFailed(result)
        raise BusError(*errors[-1])

    def manager(self, member: str, signature: str = "", *arguments: str) -> list[Any]:
        return self.call(ROOT, MANAGER, member, signature, *arguments)

    def objects(self) -> Objects:
        objects: Objects = self.call(ROOT, OBJECT_MANAGER, "GetManagedObjects")[0]
        return objects

    def properties(self, path: str, interface: str) -> dict[str, Any]:
        values: dict[str, Any] = self.call(path, PROPERTIES, "GetAll", "s", interface)[0]
        return values

    def certificate(self, name: str) -> dict[str, Any]:
        """All properties of a certificate."""
        return self.properties(certificate_path(name), CERTIFICATE)

    def introspect(self, path: str) -> str:
        xml: str = self.call(path, INTROSPECTABLE, "Introspect")[0]
        return xml

    def jobs(self) -> dict[int, str]:
        """The certificates and accounts of the jobs that run, by number."""
        return {number: name for number, _, name, _, _ in self.manager("ListJobs")[0]}

    def order(self, name: str, *identifiers: str) -> int:
        """Starts a job, and returns its number."""
        arguments = (name, str(len(identifiers)), *identifiers, "0")
        number: int = self.manager("Order", "sasa{sv}", *arguments)[1]
        return number


def plain(value: Any) -> Any:
    """A value as busctl prints it in JSON, without the types of its variants."""
    if isinstance(value, dict):
        if value.keys() == {"type", "data"}:
            return plain(value["data"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Signal:
    """A signal that was seen."""

    path: str
    interface: str
    member: str
    body: list[Any]


@dataclass
class Monitor:
    """The signals of all objects below /org/acmed1, in their order."""

    signals: list[Signal] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _ready: bool = False

    def removed(self, number: int, timeout: float = 60) -> str:
        """Waits for the end of a job, and returns its result."""
        return self._wait(f"the end of job {number}", lambda: self._result(number), timeout)

    def seen(self, member: str, path: str) -> list[list[Any]]:
        """The bodies of all signals of this name, from an object or, for an ObjectManager's, about it."""
        with self._changed:
            return [
                signal.body
                for signal in self.signals
                if signal.member == member and path == (signal.body[0] if signal.path == ROOT else signal.path)
            ]

    def changes(self, path: str) -> list[dict[str, Any]]:
        """What PropertiesChanged told of an object."""
        return [body[1] for body in self.seen("PropertiesChanged", path)]

    def is_ready(self) -> bool:
        """Whether a probe was seen, since the last question or before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ready, 0.1)

    def read(self, process: "subprocess.Popen[str]") -> None:
        """Takes in what busctl prints, until it ends."""
        assert process.stdout
        for line in process.stdout:
            with self._changed:
                if line.startswith("{"):
                    self._take(json.loads(line))
                self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        if message["path"] == PROBE:
            self._ready = True
        else:
            body = plain(message["payload"]["data"])
            self.signals.append(Signal(message["path"], message["interface"], message["member"], body))

    def _result(self, number: int) -> str | None:
        ends = [signal.body for signal in self.signals if signal.member == "JobRemoved" and signal.body[0] == number]
        return str(ends[0][3]) if ends else None

    def _wait(self, description: str, predicate: Callable[[], T | None], timeout: float) -> T:
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f"waited {timeout:g} s for {description}; seen: {self.signals[-20:]}")
            answer = predicate()
            assert answer is not None
            return answer


def probe(machine: Machine) -> bool:
    """Sends a signal of nobody's."""
    return machine.run(["busctl", "emit", PROBE, "org.acmed1.Probe", "Probe"]).returncode == 0


@contextlib.contextmanager
def monitor(machine: Machine) -> Iterator[Monitor]:
    """Sees every signal that is sent inside."""
    match = f"type='signal',path_namespace='{ROOT}'"
    process = machine.popen(["busctl", "--json=short", f"--match={match}", "monitor"])
    monitor = Monitor()
    reader = threading.Thread(target=monitor.read, args=(process,), daemon=True)
    reader.start()
    try:
        machine.wait_until("busctl to listen", lambda: probe(machine) and monitor.is_ready())
        yield monitor
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        reader.join()


def forget_all(caller: Caller, prefix: str) -> None:
    """Ends the jobs and the management of all certificates whose names begin like this."""
    for number, name in caller.jobs().items():
        if name.startswith(prefix):
            with contextlib.suppress(BusError):  # it has ended, or is about to
                caller.call(job_path(number), JOB, "Cancel")
    caller.machine.wait_until(
        "the jobs to end", lambda: not any(name.startswith(prefix) for name in caller.jobs().values())
    )
    for name, *_ in caller.manager("ListCertificates")[0]:
        if name.startswith(prefix):
            caller.call(certificate_path(name), CERTIFICATE, "Forget")
