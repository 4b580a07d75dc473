# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether acme-privd can write the files of the services, before any order depends on it."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from acmed.config.load import Loaded
from acmed.config.model import Certificate, Problem, Service
from acmed.config.sandbox import HOMES, UNIT
from acmed.config.table import Place
from acmed.config.words import listed

# Besides: PrivateTmp=, PrivateDevices=, InaccessiblePaths=/sys, and what the kernel makes up.
_HIDDEN = (*HOMES, "/tmp", "/var/tmp", "/dev", "/proc", "/sys")


def files(loaded: Loaded, writable: tuple[Path, ...] | None) -> list[Problem]:
    """Problems with the files of all services that certificates use. writable: sandbox.read_write_paths()."""
    problems = _shared_targets(loaded)
    users: dict[str, list[str]] = {}
    for certificate in loaded.configuration.certificates.values():
        for name in certificate.services:
            users.setdefault(name, []).append(certificate.name)
    for name, certificates in users.items():
        problems += service_files(loaded, loaded.configuration.services[name], certificates, writable)
    return problems


def hidden(loaded: Loaded) -> list[Problem]:
    """Files in directories that acme-privd has of its own, or not at all: what it wrote there would be lost."""
    problems = []
    for service in loaded.configuration.services.values():
        for target in service.files.values():
            for directory in _HIDDEN:
                if target.startswith(f"{directory}/"):
                    place = loaded.tables.service[service.name].places["files"]
                    message = f"{target} is in {directory}, which {UNIT} does not see"
                    problems.append(place.problem(message, "use a directory such as /etc/NAME"))
    return problems


def service_files(
    loaded: Loaded, service: Service, certificates: Iterable[str], writable: tuple[Path, ...] | None
) -> list[Problem]:
    """Problems with the files of one service, were it used by certificates of these names."""
    if not service.files:
        return []
    place = loaded.tables.service[service.name].places["files"]
    targets = {path for name in certificates for path in service.targets(name).values()}
    directories = sorted({path.parent for path in targets})
    problems = [problem for directory in directories if (problem := _unusable(place, directory))]
    problems += [
        place.problem(f"{path} is a directory, and must be the path of a file", f"such as {path}/{{name}}.pem")
        for path in sorted(targets)
        if _is_directory(path)
    ]
    lacking = [directory for directory in directories if not _within(directory, writable)]
    if lacking:
        message = f"[service.{service.name}] has files in {listed(map(str, lacking))}, where {UNIT} may not write"
        problems.append(place.problem(message, _drop_in(service)))
    return problems


def _shared_targets(loaded: Loaded) -> list[Problem]:
    """Files that are written for two certificates, or for two services of one."""
    problems = []
    users: dict[Path, tuple[Certificate, Service]] = {}
    for certificate in loaded.configuration.certificates.values():
        for service in (loaded.configuration.services[name] for name in certificate.services):
            for path in service.targets(certificate.name).values():
                first, first_service = users.setdefault(path, (certificate, service))
                if (first, first_service) != (certificate, service):
                    message = f"{path} is written for {_user(first, first_service)} and {_user(certificate, service)}"
                    place = loaded.tables.service[service.name].places["files"]
                    problems.append(place.problem(message, "put {name} into the path"))
    return problems


def _user(certificate: Certificate, service: Service) -> str:
    return f"certificate {certificate.name} (service {service.name})"


def _unusable(place: Place, directory: Path) -> Problem | None:
    """Why root without any capability, as acme-privd is, cannot make files there."""
    try:
        status = directory.stat()
    except (FileNotFoundError, NotADirectoryError):
        return place.problem(f"the directory {directory} is not there", f"mkdir -p {quote(str(directory))}")
    except OSError as error:
        message = f"{directory} is not checked: {error.strerror}"
        return Problem(place.path, place.line, message, "check as root", note=True)
    if not stat.S_ISDIR(status.st_mode):
        return place.problem(f"{directory} is not a directory")
    if status.st_uid != 0:
        message = (
            f"{directory} belongs to user {status.st_uid}, where {UNIT} may not write: it has no right to override"
        )
        return place.problem(message, f"chown root {quote(str(directory))}")
    if not status.st_mode & stat.S_IWUSR:
        return place.problem(f"{directory} may not be written by root, its owner", f"chmod u+w {quote(str(directory))}")
    return None


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # not to be seen by this user
        return False


def _within(directory: Path, writable: tuple[Path, ...] | None) -> bool:
    """Whether it is in one of these directories, symbolic links followed. True where nobody can tell."""
    if writable is None:
        return True
    real = Path(os.path.realpath(directory))
    return any(real.is_relative_to(os.path.realpath(path)) for path in writable)


def _drop_in(service: Service) -> str:
    """A file of its own for each service, so that no two overwrite each other."""
    directories = sorted({_fixed(target) for target in service.files.values()})
    return (
        f"write this to /etc/systemd/system/{UNIT}.d/{service.name}.conf, then run:"
        f" systemctl daemon-reload && systemctl try-restart {UNIT}\n"
        f"[Service]\nReadWritePaths={' '.join(map(_unit_path, directories))}"
    )


def _fixed(target: str) -> str:
    """The directory that all files of a path with {name} in it are in."""
    return str(Path(target.partition("{name}")[0] + "NAME").parent)


def _unit_path(path: str) -> str:
    """A path as a unit's file has it; "-": acme-privd starts also where the directory is not there."""
    escaped = "-" + path.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return f'"{escaped}"' if set(escaped) & set(" \\'\"") else escaped
