# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a service is told that its certificate is there: its units are reloaded or restarted, and its hook is run."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Told:
    """What came of a delivery. error: what went wrong. remark: what somebody is to know although nothing did, as that
    nobody was there to be told. Both may be empty.
    """

    error: str = ""
    remark: str = ""


async def reload(service: Service) -> Told:
    """Has the units take the new files."""
    if not service.units:
        return Told()
    results: list[str | None] = []
    try:
        async with pid1.connected() as manager:
            for unit in service.units:
                results.append(await _reload(manager, unit, service.action))
    except (BusLost, DBusError) as error:
        results.append(f"PID 1 cannot be asked: {error}")
    if any(result is not None for result in results):
        return Told("; ".join(filter(None, results)))
    # It may come later; or the name is wrong, and the service that is meant goes on with the old certificate.
    return Told(
        remark=f"no unit of service {service.name} is installed ({', '.join(service.units)}), so none was told of the "
        "certificate"
    )


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


async def _reload(manager: Pid1, unit: str, action: Action) -> str | None:
    """Reloads a unit that runs; one that does not will read the new files when it starts. What went wrong, or an empty
    string; None where there is no such unit.
    """
    try:
        state = await manager.state(unit)
        if not state:
            journal.info("%s is not installed: nothing to %s", unit, action.value)
            return None
        if state not in _RUNNING:
            journal.info("%s is %s: nothing to %s", unit, state, action.value)
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
