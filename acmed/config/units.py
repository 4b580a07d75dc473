# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether systemd knows the units that take up new certificates. A unit that does not run is not told, as it reads them
when it starts; and so it is with one that there will never be, as its name is misspelt.
"""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from acmed.config.load import Loaded
from acmed.config.model import Problem
from acmed.config.sandbox import UNIT_PATH
from acmed.config.words import did_you_mean, listed

_TIMEOUT = 10  # seconds


def problems(loaded: Loaded, search: tuple[Path, ...] = UNIT_PATH) -> Iterator[Problem]:
    """Notes about the services that certificates use, as what has the unit may be installed later. search: where to
    look for a name that was meant.
    """
    users: dict[str, list[str]] = {}
    for certificate in loaded.configuration.certificates.values():
        for name in certificate.services:
            users.setdefault(name, []).append(certificate.name)
    services = {name: loaded.configuration.services[name] for name in users}
    unknown = _unknown(sorted({unit for service in services.values() for unit in service.units}))
    for name, service in services.items():
        for unit in service.units:
            if unit in unknown:
                place = loaded.tables.service[name].places["units"]
                message = f"there is no unit '{unit}' here, which is to take up new certificates: {listed(users[name])}"
                hint = did_you_mean(unit, _names(unit, search)) or "install what has the unit, or correct its name"
                yield place.note(message, hint)


def _unknown(units: Sequence[str]) -> set[str]:
    """Those that PID 1 does not know; none where it cannot be asked."""
    if not units:
        return set()
    command = ["systemctl", "show", "--property=LoadState", "--value", "--", *units]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return set()
    states = answer.split()
    return {unit for unit, state in zip(units, states, strict=False) if state == "not-found"}


def _names(unit: str, search: tuple[Path, ...]) -> list[str]:
    """Of units of the same kind."""
    kind = unit.rpartition(".")[2]
    return sorted({path.name for above in search for path in (above / "systemd/system").glob(f"*.{kind}")})
