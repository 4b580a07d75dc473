# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a service is told that its certificate is there: its units are reloaded or restarted, and its hook is run."""

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.config import Certificate, Service
from acmed.config.model import Action
from acmed.privd import pid1
from acmed.privd.delivery import hooks
from acmed.privd.installed.sets import Content
from acmed.privd.pid1 import Pid1
from acmed.privd.places import Places

_JOB_TIMEOUT = 120.0  # seconds; a unit's own TimeoutStartSec= is 90 unless it says otherwise
_HOOK_TIMEOUT = 120  # seconds

# ReloadOrTryRestartUnit does not start what was stopped between our look at it and the job.
_METHODS = {Action.RELOAD: "ReloadOrTryRestartUnit", Action.RESTART: "TryRestartUnit"}
_RUNNING = ("active", "activating", "reloading")


async def reload(service: Service) -> str:
    """Has the units take the new files; what went wrong, or an empty string."""
    if not service.units:
        return ""
    errors = []
    try:
        async with pid1.connected() as manager:
            for unit in service.units:
                if error := await _reload(manager, unit, service.action):
                    errors.append(error)
    except (BusLost, DBusError) as error:
        errors.append(f"PID 1 cannot be asked: {error}")
    return "; ".join(errors)


async def run_hook(places: Places, certificate: Certificate, service: Service, content: Content) -> str:
    """What went wrong, or an empty string. Raises HookFailed."""
    if service.hook is None:
        return ""
    environment = _environment(certificate, service, content)
    try:
        async with pid1.connected() as manager:
            await hooks.hook(
                places, manager, service.hook, "deliver", environment, _HOOK_TIMEOUT, hooks.SEES_CERTIFICATES
            )
    except (BusLost, DBusError) as error:
        return f"PID 1 cannot be asked: {error}"
    except TimeoutError:
        return "PID 1 was not done in time"
    return ""


async def _reload(manager: Pid1, unit: str, action: Action) -> str:
    """Reloads a unit that runs; one that does not will read the new files when it starts."""
    try:
        state = await manager.state(unit)
        if state not in _RUNNING:
            journal.info("%s is %s: nothing to %s", unit, state or "not installed", action.value)
            return ""
        result = await manager.job(_METHODS[action], unit, "replace", timeout=_JOB_TIMEOUT)
    except TimeoutError:
        result = f"not done after {_JOB_TIMEOUT:g} s"
    except DBusError as error:
        result = error.message
    return "" if result == pid1.DONE else f"{action.value} of {unit}: {result}; see: journalctl -u {unit}"


def _environment(certificate: Certificate, service: Service, content: Content) -> dict[str, str]:
    """Names, and paths of what services point at; the key is there, and not to be read."""
    directory = Places.certificates / certificate.name
    return {
        "ACMED_CERTIFICATE": certificate.name,
        "ACMED_SERVICE": service.name,
        "ACMED_NAMES": " ".join(map(str, certificate.identifiers)),
        "ACMED_DIRECTORY": str(directory),
        **{f"ACMED_{kind.upper()}": str(directory / f"{kind}.pem") for kind in content.kinds},
    }
