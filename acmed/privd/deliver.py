# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brings an installed set to a service: its own copies of the files, then a reload or restart of its units."""

import asyncio
import errno
from pathlib import Path

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.config import Certificate, Configuration, Service
from acmed.config.model import Action
from acmed.privd import files, ownership, pid1, sets
from acmed.privd.pid1 import Pid1
from acmed.privd.places import Places
from acmed.privd.refusal import explained
from acmed.varlink import VarlinkError

_JOB_TIMEOUT = 120.0  # seconds; a unit's own TimeoutStartSec= is 90 unless it says otherwise

# ReloadOrTryRestartUnit does not start what was stopped between our look at it and the job.
_METHODS = {Action.RELOAD: "ReloadOrTryRestartUnit", Action.RESTART: "TryRestartUnit"}
_RUNNING = ("active", "activating", "reloading")

_READ_ONLY = (
    "acme-privd may not write there. Run: systemctl edit acme-privd.service, and add:"
    " [Service] ReadWritePaths={directory} (then: systemctl try-restart acme-privd.service)"
)
_DENIED = "the directory must belong to root: acme-privd has no right to pass by its mode"


async def deliver(
    places: Places, configuration: Configuration, certificate: Certificate, current: sets.Set, service_names: list[str]
) -> list[dict[str, str]]:
    """One delivery (service, error) for each name. What fails for one does not stop the others."""
    content = await asyncio.to_thread(sets.content, places, certificate.name, current)
    answers = []
    for name in service_names:
        error = await _deliver(places, configuration, certificate, current, content, name)
        if error:
            journal.warning("Delivery of %s to %s failed: %s", certificate.name, name, error, service=name)
        else:
            journal.info("Delivered %s to %s", certificate.name, name, service=name)
        answers.append({"service": name, "error": error})
    return answers


async def _deliver(
    places: Places,
    configuration: Configuration,
    certificate: Certificate,
    current: sets.Set,
    content: sets.Content,
    name: str,
) -> str:
    """What went wrong, or an empty string."""
    if name not in configuration.services:
        known = ", ".join(sorted(configuration.services)) or "none"
        return f"there is no [service.{name}]; known services: {known}"
    if name not in certificate.services:
        return f"it is not among the services of {certificate.path}"
    service = configuration.services[name]
    if content.privkey is None and (problem := ownership.keyless_problem(service)):
        return problem
    try:
        if service.group is not None:
            access = ownership.key_access(configuration.services[one] for one in certificate.services)
            sets.grant(places, certificate.name, current, access)
        await asyncio.to_thread(_copy, certificate.name, service, content)
    except OSError as error:
        return _copy_error(error)
    except VarlinkError as error:
        return str(error.parameters.get("message", error))
    return await _reload(service)


def _copy(name: str, service: Service, content: sets.Content) -> None:
    for kind, pattern in service.files.items():
        access = ownership.service_access(service) if kind in sets.SECRET else files.PUBLIC
        target, data = Path(pattern.replace("{name}", name)), content.file(kind)
        try:
            with files.reached(target.parent) as directory:
                files.replace(directory / target.name, data, access)
        except OSError as error:
            error.filename = str(target) if error.errno != errno.ELOOP else error.filename
            raise


def _copy_error(error: OSError) -> str:
    directory = str(Path(error.filename).parent) if error.filename else ""
    if error.errno == errno.EROFS:
        return f"{explained(error)}: {_READ_ONLY.format(directory=directory)}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{explained(error)}: {_DENIED}"
    return explained(error)


async def _reload(service: Service) -> str:
    if not service.units:
        return ""
    errors = []
    try:
        async with pid1.connected() as manager:
            for unit in service.units:
                if error := await _reload_unit(manager, unit, service.action):
                    errors.append(error)
    except (BusLost, DBusError) as error:
        errors.append(f"PID 1 cannot be asked: {error}")
    return "; ".join(errors)


async def _reload_unit(manager: Pid1, unit: str, action: Action) -> str:
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
