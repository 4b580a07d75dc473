# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether acme-privd can write copies of a certificate's files, before any order depends on it."""

import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from acmed.config.load import Loaded
from acmed.config.model import Certificate, Problem, Service
from acmed.config.sandbox import HOMES, UNIT, is_shared, unit_text, within
from acmed.config.table import Place
from acmed.config.words import listed

# Besides: PrivateTmp=, PrivateDevices=, InaccessiblePaths=/sys, and what the kernel makes up.
_HIDDEN = (*HOMES, "/tmp", "/var/tmp", "/dev", "/proc", "/sys")


@dataclass(frozen=True)
class _Wish:
    """A key "files": where it is, what it is called, and its paths, in which {name} may stand for a certificate's name.

    drop_in: the name of a file of its own for the unit, so that no two overwrite each other.
    """

    place: Place
    title: str
    drop_in: str
    patterns: Collection[str]


def files(loaded: Loaded, writable: tuple[Path, ...] | None) -> list[Problem]:
    """Problems with the copies for all services that certificates use, and with the certificates' own. writable:
    sandbox.read_write_paths().
    """
    problems = _shared_targets(loaded)
    users: dict[str, list[str]] = {}
    for certificate in loaded.configuration.certificates.values():
        if certificate.files:
            wish = _of_certificate(loaded, certificate)
            problems += _copies(wish, set(certificate.files.values()), writable)
        for name in certificate.services:
            users.setdefault(name, []).append(certificate.name)
    for name, certificates in users.items():
        service = loaded.configuration.services[name]
        if service.files:
            targets = {path for certificate in certificates for path in service.targets(certificate).values()}
            problems += _copies(_of_service(loaded, service), targets, writable)
    return problems


def hidden(loaded: Loaded) -> list[Problem]:
    """Files in directories that acme-privd has of its own, or not at all: what it wrote there would be lost."""
    services, certificates = loaded.configuration.services.values(), loaded.configuration.certificates.values()
    wishes = [_of_service(loaded, service) for service in services if service.files]
    wishes += [_of_certificate(loaded, certificate) for certificate in certificates if certificate.files]
    problems = []
    for wish in wishes:
        for target in wish.patterns:
            for directory in _HIDDEN:
                if target.startswith(f"{directory}/"):
                    message = f"{target} is in {directory}, which {UNIT} does not see"
                    problems.append(wish.place.problem(message, "use a directory such as /etc/NAME"))
    return problems


def _of_service(loaded: Loaded, service: Service) -> _Wish:
    place = loaded.tables.service[service.name].places["files"]
    return _Wish(place, f"[service.{service.name}]", service.name, service.files.values())


def _of_certificate(loaded: Loaded, certificate: Certificate) -> _Wish:
    place = loaded.tables.certificate[certificate.name].places["files"]
    title, drop_in = f"certificate {certificate.name}", f"certificate-{certificate.name}"
    return _Wish(place, title, drop_in, list(map(str, certificate.files.values())))


def _copies(wish: _Wish, targets: Iterable[Path], writable: tuple[Path, ...] | None) -> list[Problem]:
    """Problems with the copies that a key asks for."""
    targets = sorted(targets)
    directories = sorted({path.parent for path in targets})
    problems = [problem for directory in directories if (problem := _unusable(wish.place, directory))]
    problems += [
        wish.place.problem(f"{path} is a directory, and must be the path of a file", f"such as {path}/{{name}}.pem")
        for path in targets
        if _is_directory(path)
    ]
    lacking = [directory for directory in directories if not within(directory, writable)]
    shared = [directory for directory in lacking if is_shared(directory)]
    if narrow := [directory for directory in lacking if directory not in shared]:
        message = f"{wish.title} has files in {listed(map(str, narrow))}, where {UNIT} may not write"
        problems.append(wish.place.problem(message, _drop_in(wish, narrow)))
    if shared:
        message = (
            f"{wish.title} has files in {listed(map(str, shared))}, where {UNIT} may not write, and is not to be let:"
            " many programs have their files there"
        )
        problems.append(wish.place.problem(message, "use a directory for certificates alone, such as /etc/NAME"))
    return problems


def _shared_targets(loaded: Loaded) -> list[Problem]:
    """Files that are written for two certificates, or twice for one."""
    problems = []
    users: dict[Path, str] = {}
    for certificate in loaded.configuration.certificates.values():
        for place, user, targets in _targets(loaded, certificate):
            for path in targets.values():
                if (first := users.setdefault(path, user)) != user:
                    message = f"{path} is written for {first} and {user}"
                    problems.append(place.problem(message, "put {name} into the path"))
    return problems


def _targets(loaded: Loaded, certificate: Certificate) -> Iterator[tuple[Place, str, Mapping[str, Path]]]:
    """What is written for a certificate: where that is said, for whom, and the paths by kind."""
    for service in (loaded.configuration.services[name] for name in certificate.services):
        if service.files:
            place = loaded.tables.service[service.name].places["files"]
            yield place, f"certificate {certificate.name} (service {service.name})", service.targets(certificate.name)
    if certificate.files:
        yield _of_certificate(loaded, certificate).place, f"certificate {certificate.name}", certificate.files


def _unusable(place: Place, directory: Path) -> Problem | None:
    """Why root without any capability, as acme-privd is, cannot make files there."""
    try:
        status = directory.stat()
    except (FileNotFoundError, NotADirectoryError):
        # An acme-privd that runs already does not come to see it as writable.
        hint = f"mkdir -p {quote(str(directory))} && systemctl try-restart {UNIT}"
        return place.problem(f"the directory {directory} is not there", hint)
    except OSError as error:
        message = f"{directory} is not checked: {error.strerror}"
        return place.note(message, "check as root")
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


def _drop_in(wish: _Wish, lacking: Iterable[Path]) -> str:
    """For those, and for the names of later certificates, where no more than that has to be writable for it."""
    fixed = {path for path in map(_fixed, wish.patterns) if not is_shared(path)}
    directories = sorted(fixed | {path for path in lacking if not any(path.is_relative_to(above) for above in fixed)})
    return (
        f"write this to /etc/systemd/system/{UNIT}.d/{wish.drop_in}.conf, then run:"
        f" systemctl daemon-reload && systemctl try-restart {UNIT}\n"
        f"[Service]\nReadWritePaths={' '.join(_unit_path(str(path)) for path in directories)}"
    )


def _fixed(target: str) -> Path:
    """The directory that all files of a path with {name} in it are in."""
    return Path(target.partition("{name}")[0] + "NAME").parent


def _unit_path(path: str) -> str:
    """A path as a unit's file has it; "-": acme-privd starts also where the directory is not there."""
    escaped = "-" + unit_text(path)
    return f'"{escaped}"' if set(escaped) & set(" \\'\"") else escaped
