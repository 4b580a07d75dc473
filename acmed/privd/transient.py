# SPDX-License-Identifier: LGPL-2.1-or-later
"""Transient units of PID 1: one program each, in a sandbox, with a deadline. What acme-privd has others do, or what
root's configuration has it run, is run by these.
"""

import errno
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmed.bus import Variant
from acmed.privd import pid1
from acmed.privd.pid1 import Pid1

Properties = Mapping[str, Variant]

_PYTHON = "/usr/bin/python3"
_GRACE = 10  # seconds that PID 1 has beside the program's own
_STOP = 3  # seconds between SIGTERM and SIGKILL
_EXIT_CREDENTIALS = 243  # systemd.exec(5)

# systemd.exec(5) and systemd.resource-control(5) have what each does. For every program, whoever wrote it.
_ALL: Properties = {
    "Type": Variant("s", "oneshot"),
    "NotifyAccess": Variant("s", "main"),
    "TimeoutStopUSec": Variant("t", _STOP * 1_000_000),
    "MemoryMax": Variant("t", 512 * 1024 * 1024),
    "TasksMax": Variant("t", 128),
    "LimitCORE": Variant("t", 0),
    "KeyringMode": Variant("s", "private"),
    "LockPersonality": Variant("b", True),
    "PrivateDevices": Variant("b", True),
    "PrivateIPC": Variant("b", True),
    "PrivateTmp": Variant("b", True),
    "ProtectClock": Variant("b", True),
    "ProtectControlGroups": Variant("b", True),
    "ProtectHostname": Variant("b", True),
    "ProtectKernelLogs": Variant("b", True),
    "ProtectKernelModules": Variant("b", True),
    "ProtectKernelTunables": Variant("b", True),
    "RestrictNamespaces": Variant("t", 0),
    "RestrictRealtime": Variant("b", True),
    "SystemCallErrorNumber": Variant("i", errno.EPERM),
    "SystemCallArchitectures": Variant("as", ["native"]),
}

# For programs of acmed's own.
OWN: Properties = {
    "UMask": Variant("u", 0o022),
    "CapabilityBoundingSet": Variant("t", 0),
    "NoNewPrivileges": Variant("b", True),
    "MemoryDenyWriteExecute": Variant("b", True),
    "ProtectSystem": Variant("s", "strict"),
    "ProtectProc": Variant("s", "invisible"),
    "ProcSubset": Variant("s", "pid"),
    "RestrictSUIDSGID": Variant("b", True),
    "SystemCallFilter": Variant("(bas)", [True, ["@system-service"]]),
}


# Where keys are that acmed has for others, or that the host has: nothing that a program of root's has to see.
KEYS = (
    "-/etc/credstore",
    "-/etc/credstore.encrypted",
    "-/etc/gshadow",
    "-/etc/shadow",
    "-/var/lib/acme",
    "-/var/lib/acme-privd",
)


@dataclass(frozen=True)
class Program:
    """A module of acmed's, with the order (JSON) that it gets on its standard input.

    kind: what the unit is called by. timeout: seconds.
    """

    kind: str
    description: str
    module: str
    order: Mapping[str, Any]
    timeout: int
    sandbox: Properties = field(default_factory=dict)

    def command(self) -> Properties:
        """What is run, and its standard input."""
        return {
            "ExecStart": _command(_PYTHON, "-I", "-m", self.module),
            "StandardInput": Variant("s", "data"),
            "StandardInputData": Variant("ay", json.dumps(self.order).encode()),
        }


@dataclass(frozen=True)
class Tool:
    """A program of the host's whose standard input and output are a connection to one AF_UNIX socket, and its standard
    error is one to another: what it is given is no property of the unit, which anybody may read.

    timeout: seconds.
    """

    kind: str
    description: str
    argv: Sequence[str]
    conversation: Path
    errors: Path
    timeout: int
    sandbox: Properties

    def command(self) -> Properties:
        """What is run, and where PID 1 connects it to (systemd.exec(5), "file:")."""
        return {
            "ExecStart": _command(*self.argv),
            "StandardInputFile": Variant("s", str(self.conversation)),
            "StandardOutputFile": Variant("s", str(self.conversation)),
            "StandardErrorFile": Variant("s", str(self.errors)),
        }


@dataclass(frozen=True)
class Failure:
    """A program that did not do it: the unit, and what it or PID 1 says about it."""

    unit: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason}; see: journalctl -u {self.unit}"


async def run(manager: Pid1, program: Program | Tool) -> Failure | None:
    """Runs a program to its end; None where it did it. Raises DBusError, BusLost or TimeoutError."""
    unit, result = await _run(manager, program, {})
    if result == pid1.DONE:
        return None
    reason = await _reason(manager, unit, program.timeout)
    await manager.reset_failed(unit)
    return Failure(unit, reason or result)


async def ask(manager: Pid1, program: Program) -> str:
    """What a program tells that does not fail, or an empty string. Raises DBusError, BusLost or TimeoutError."""
    # PID 1 would forget the unit at its end; so it does when our connection ends.
    unit, result = await _run(manager, program, {"AddRef": Variant("b", True)})
    if result == pid1.DONE:
        return str(await manager.service_property(unit, "StatusText") or "")
    await manager.reset_failed(unit)
    return ""


async def _run(manager: Pid1, program: Program | Tool, extra: Properties) -> tuple[str, str]:
    """The unit, and its job's result."""
    unit = f"acme-{program.kind}-{secrets.token_hex(8)}.service"
    result = await manager.job(
        "StartTransientUnit",
        unit,
        "fail",
        _properties(program, extra),
        [],
        signature="ssa(sv)a(sa(sv))",
        timeout=program.timeout + _STOP + _GRACE,
    )
    return unit, result


async def _reason(manager: Pid1, unit: str, timeout: int) -> str:
    told = str(await manager.service_property(unit, "StatusText") or "")
    result = await manager.service_property(unit, "Result")
    if result == "timeout":
        return f"not done after {timeout} s, {told}" if told else f"not done after {timeout} s"
    if told:
        return told
    status = await manager.service_property(unit, "ExecMainStatus")
    if result == "exit-code" and status == _EXIT_CREDENTIALS:
        return "its credential cannot be opened"
    return f"exit status {status}" if result == "exit-code" else str(result or "")


def _properties(program: Program | Tool, extra: Properties) -> list[list[Any]]:
    values = {
        **_ALL,
        **program.sandbox,
        **extra,
        **program.command(),
        "Description": Variant("s", program.description),
        "SyslogIdentifier": Variant("s", f"acme-{program.kind}"),
        "TimeoutStartUSec": Variant("t", program.timeout * 1_000_000),
    }
    return [[name, value] for name, value in values.items()]


def _command(*argv: str) -> Variant:
    return Variant("a(sasb)", [[argv[0], list(argv), False]])
