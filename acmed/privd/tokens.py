# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens in a web server's document root, written by acmed.webroot in a transient unit: as the directory's owner, with
that directory the only writable one, so that its owner can lead nobody but himself astray with a symbolic link.
"""

import errno
import json
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any

from acmed.bus import Variant
from acmed.config import Configuration
from acmed.config.model import Http01Mode
from acmed.privd import pid1
from acmed.privd.pid1 import Pid1
from acmed.privd.refusal import explained, invalid_parameter, refusal

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")  # RFC 8555 section 8.3: base64url, at least 128 bits
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256

_TIMEOUT = 20.0  # seconds
_PYTHON = "/usr/bin/python3"


def check_token(token: str, key_authorization: str | None = None) -> None:
    """Raises InvalidParameter. A key authorization (RFC 8555 section 8.1) is the token, a dot, and a thumbprint."""
    if not _TOKEN.fullmatch(token):
        raise invalid_parameter("token")
    if key_authorization is not None:
        start, dot, thumbprint = key_authorization.partition(".")
        if start != token or not dot or not _THUMBPRINT.fullmatch(thumbprint):
            raise invalid_parameter("keyAuthorization")


def webroot(configuration: Configuration) -> tuple[Path, os.stat_result]:
    """The configured directory and its status. Raises ChallengeUnavailable."""
    path = configuration.http01.webroot
    if configuration.http01.mode is not Http01Mode.WEBROOT or path is None:
        raise refusal("ChallengeUnavailable", message='[http01] of acmed.toml does not say mode = "webroot"')
    try:
        status = path.stat()
    except OSError as error:
        raise refusal("ChallengeUnavailable", message=f"[http01] webroot: {explained(error)}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise refusal("ChallengeUnavailable", message=f"[http01] webroot: {path} is not a directory")
    return path, status


async def write(configuration: Configuration, manager: Pid1, token: str, content: str | None) -> None:
    """Writes a token's file, or removes it where content is None. Raises ChallengeUnavailable, DBusError, BusLost or
    TimeoutError.
    """
    path, status = webroot(configuration)
    unit = f"acme-webroot-{secrets.token_hex(8)}.service"
    order = json.dumps({"directory": str(path), "token": token, "content": content}).encode()
    result = await manager.job(
        "StartTransientUnit",
        unit,
        "fail",
        _properties(path, status, order),
        [],
        signature="ssa(sv)a(sa(sv))",
        timeout=_TIMEOUT,
    )
    if result == pid1.DONE:
        return
    code = await manager.service_property(unit, "ExecMainStatus")
    await manager.reset_failed(unit)
    reason = os.strerror(code) if code in errno.errorcode else result
    message = f"cannot write below {path} as user {status.st_uid}: {reason}; see: journalctl -u {unit}"
    raise refusal("ChallengeUnavailable", message=message)


def _properties(path: Path, status: os.stat_result, order: bytes) -> list[list[Any]]:
    """For StartTransientUnit; systemd.exec(5) has what each does."""
    command = [_PYTHON, [_PYTHON, "-I", "-m", "acmed.webroot"], False]
    values = {
        "Description": Variant("s", f"ACME token below {path}"),
        "Type": Variant("s", "oneshot"),
        "ExecStart": Variant("a(sasb)", [command]),
        "TimeoutStartUSec": Variant("t", 10_000_000),
        "User": Variant("s", str(status.st_uid)),
        "Group": Variant("s", str(status.st_gid)),
        "StandardInput": Variant("s", "data"),
        "StandardInputData": Variant("ay", order),
        "UMask": Variant("u", 0o022),
        "ReadWritePaths": Variant("as", [str(path)]),
        "ProtectSystem": Variant("s", "strict"),
        "ProtectHome": Variant("s", "read-only"),
        "PrivateDevices": Variant("b", True),
        "PrivateIPC": Variant("b", True),
        "PrivateNetwork": Variant("b", True),
        "RestrictAddressFamilies": Variant("(bas)", [True, ["AF_UNIX"]]),
        "CapabilityBoundingSet": Variant("t", 0),
        "NoNewPrivileges": Variant("b", True),
        "MemoryDenyWriteExecute": Variant("b", True),
        "LockPersonality": Variant("b", True),
        "ProtectClock": Variant("b", True),
        "ProtectControlGroups": Variant("b", True),
        "ProtectHostname": Variant("b", True),
        "ProtectKernelLogs": Variant("b", True),
        "ProtectKernelModules": Variant("b", True),
        "ProtectKernelTunables": Variant("b", True),
        "ProtectProc": Variant("s", "invisible"),
        "ProcSubset": Variant("s", "pid"),
        "RestrictNamespaces": Variant("t", 0),
        "RestrictRealtime": Variant("b", True),
        "RestrictSUIDSGID": Variant("b", True),
        "SystemCallFilter": Variant("(bas)", [True, ["@system-service"]]),
        "SystemCallErrorNumber": Variant("i", errno.EPERM),
        "SystemCallArchitectures": Variant("as", ["native"]),
    }
    return [[name, value] for name, value in values.items()]
