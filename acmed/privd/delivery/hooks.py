# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that root's configuration names: hooks of /etc/acmed/hooks.d, and the reload of a local zone. Each run is a
transient unit, in which acmed.runner hands on what the program says.
"""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from acmed import paths
from acmed.bus import Variant
from acmed.config.executables import of_others
from acmed.config.plainfile import OTHERS_WRITE
from acmed.privd import transient
from acmed.privd.pid1 import Pid1
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.transient import KEYS, Failure, Program, Properties

SHORTEST = 60  # seconds: providers of DNS are slow, and what is broken off may have been done

_CREDENTIAL = "hook"

# All that is not said here is as in transient.py. A hook may be written in any language, so it has no
# MemoryDenyWriteExecute=, and may look at /proc.
_HOOK: Properties = {
    "UMask": Variant("u", 0o077),
    "DynamicUser": Variant("b", True),
    "PrivateUsers": Variant("b", True),
    "CapabilityBoundingSet": Variant("t", 0),
    "NoNewPrivileges": Variant("b", True),
    "ProtectSystem": Variant("s", "strict"),
    "ProtectHome": Variant("s", "yes"),
    "ProtectProc": Variant("s", "invisible"),
    "RestrictSUIDSGID": Variant("b", True),
    "RestrictAddressFamilies": Variant("(bas)", [True, ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]]),
    "SystemCallFilter": Variant("(bas)", [True, ["@system-service"]]),
    "InaccessiblePaths": Variant("as", ["-/var/lib/acme", "-/dev/shm"]),
}

# For who is told of a certificate: what is public of it. The keys are of other users, and so not to be read.
SEES_CERTIFICATES: Properties = {"InaccessiblePaths": Variant("as", ["-/dev/shm"])}

# Root, for the zone files of whatever server and its control socket; but nothing of acmed's, and no configuration.
_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER = 0, 1, 3
_KEYS = (*KEYS, "-/var/lib/systemd/credential.secret")
_RELOAD: Properties = {
    "UMask": Variant("u", 0o022),
    "CapabilityBoundingSet": Variant("t", 1 << _CAP_CHOWN | 1 << _CAP_DAC_OVERRIDE | 1 << _CAP_FOWNER),
    "NoNewPrivileges": Variant("b", True),
    "ProtectSystem": Variant("s", "full"),
    "ProtectHome": Variant("s", "yes"),
    "RestrictSUIDSGID": Variant("b", True),
    "RestrictAddressFamilies": Variant("(bas)", [True, ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]]),
    "SystemCallFilter": Variant("(bas)", [True, ["@system-service"]]),
    "InaccessiblePaths": Variant("as", list(_KEYS)),
}


async def hook(
    places: Places,
    manager: Pid1,
    name: str,
    verb: str,
    environment: Mapping[str, str],
    timeout: int,
    more: Properties | None = None,
) -> None:
    """Runs `/etc/acmed/hooks.d/NAME VERB` with the environment. What root has sealed for the hook is its credential
    "hook". timeout: seconds. more: what its sandbox has besides, or otherwise. Raises HookFailed, DBusError, BusLost or
    TimeoutError.
    """
    path = places.etc / paths.HOOKS.name / name
    check(path)
    sandbox = {**_HOOK, **(more or {})}
    sealed = paths.HOOK_CREDENTIALS / name
    if sealed.exists():
        sandbox["LoadCredentialEncrypted"] = Variant("a(ss)", [[_CREDENTIAL, str(sealed)]])
    order = {"argv": [str(path), verb], "environment": dict(environment), "input": None}
    program = Program("hook", f"Hook {name} of acmed", "acmed.runner", order, timeout, sandbox)
    failed(f"{path} {verb}", await transient.run(manager, program))


async def reload(manager: Pid1, zone: str, argv: Sequence[str], timeout: int) -> None:
    """Has a name server load a local zone anew: argv with the zone for each {zone}. timeout: seconds. Raises
    HookFailed, DBusError, BusLost or TimeoutError.
    """
    command = [argument.replace("{zone}", zone) for argument in argv]
    check_program(Path(command[0]))
    order = {"argv": command, "environment": {"ACMED_ZONE": zone}, "input": None}
    program = Program("reload", f"Reload of the DNS zone {zone}", "acmed.runner", order, timeout, _RELOAD)
    failed(" ".join(command), await transient.run(manager, program))


def failed(what: str, failure: Failure | None) -> None:
    """Raises HookFailed where there is a failure."""
    if failure:
        raise refusal("HookFailed", message=f"{what}: {failure}")


def check(path: Path) -> None:
    """A hook is a plain file that is root's, and that all may execute: it is run as another user. Raises HookFailed."""
    if path.is_symlink():
        raise refusal("HookFailed", message=f"hook {path}: it is a symbolic link, which is not followed")
    check_program(path, stat.S_IXOTH)


def check_program(path: Path, executable: int = stat.S_IXUSR) -> None:
    """What root's configuration has us run is root's, and nobody else can change it, or put another one in its place,
    now or before it runs. Raises HookFailed.
    """
    try:
        status, theirs = path.stat(), of_others(path)
    except OSError as error:
        raise refusal("HookFailed", message=f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        problem = "it is not a plain file"
    elif status.st_uid != 0 or status.st_mode & OTHERS_WRITE:
        problem = "it must be owned by root, and writable for nobody else (chown root, chmod go-w)"
    elif theirs:
        problem = f"{theirs} must be owned by root, and writable for nobody else"
    elif not status.st_mode & executable:
        problem = "it is not executable for whom it is run as (chmod 755)"
    else:
        return
    raise refusal("HookFailed", message=f"{path}: {problem}")
