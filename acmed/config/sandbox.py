# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where acme-privd.service may write: its ReadWritePaths= (systemd.exec(5)), from systemd or from the unit's files."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

UNIT = "acme-privd.service"

# systemd.unit(5), the first has priority; also for the drop-ins of the unit, of all acme- units, and of all services.
UNIT_PATH = tuple(Path(path) for path in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
_DROP_INS = (f"{UNIT}.d", "acme-.service.d", "service.d")

_TIMEOUT = 10  # seconds

HOMES = ("/home", "/root", "/run/user")  # ProtectHome=


# Beside what is directly below / and /var: hier(7), and what Debian's programs share. Who may write there may do more
# than leave certificates.
_SHARED = ("/etc/ssl", "/etc/ssl/certs")
_TREES = ("/boot", "/etc/systemd", "/usr")
_LOCAL = "/usr/local/etc"


def is_shared(directory: Path) -> bool:
    """Whether many programs have their files there, so that the unit is not to write in all of it; symbolic links
    followed.
    """
    return any(_is_shared(Path(path)) for path in (os.path.normpath(directory), os.path.realpath(directory)))


def _is_shared(path: Path) -> bool:
    if path.is_relative_to(_LOCAL):
        return path == Path(_LOCAL)
    directly_below = len(path.parts) <= 2 or path.parent == Path("/var")
    return directly_below or str(path) in _SHARED or any(path.is_relative_to(tree) for tree in _TREES)


def home_above(path: Path) -> str:
    """Which of HOMES it is in, so that the unit does not see it, or an empty string."""
    return next((home for home in HOMES if path.is_relative_to(home)), "")


def within(directory: Path, writable: tuple[Path, ...] | None) -> bool:
    """Whether it is in one of these directories, symbolic links followed. True where nobody can tell."""
    if writable is None:
        return True
    real = Path(os.path.realpath(directory))
    return any(real.is_relative_to(os.path.realpath(path)) for path in writable)


def unit_text(path: str) -> str:
    """A path as it stands between quotes in a unit's file, systemd.syntax(7); "%" begins a specifier."""
    return path.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')


def read_write_paths() -> tuple[Path, ...] | None:
    """The directories, or None where nobody can tell."""
    asked = _ask_systemd()
    return asked if asked is not None else from_files()


def _ask_systemd() -> tuple[Path, ...] | None:
    """What PID 1 says, or None where there is no systemd, or it does not know the unit."""
    command = ["systemctl", "show", "--property=LoadState", "--property=ReadWritePaths", UNIT]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    values = dict(line.partition("=")[::2] for line in answer.splitlines())
    return _paths(values.get("ReadWritePaths", "")) if values.get("LoadState") == "loaded" else None


def from_files(search: tuple[Path, ...] = UNIT_PATH) -> tuple[Path, ...] | None:
    """What the unit's file and its drop-ins say; None where there is no such file."""
    directories = [path / "systemd/system" for path in search]
    unit = next((path for directory in directories if (path := directory / UNIT).is_file()), None)
    if unit is None:
        return None
    found: tuple[Path, ...] = ()
    for path in (unit, *_drop_ins(directories)):
        for value in _assignments(path):
            found = (*found, *_paths(value)) if value else ()
    return found


def _drop_ins(directories: list[Path]) -> list[Path]:
    """In the order of their names; of the same name, only the one with the highest priority."""
    chosen: dict[str, Path] = {}
    for kind in _DROP_INS:
        for directory in directories:
            for path in (directory / kind).glob("*.conf"):
                chosen.setdefault(path.name, path)
    return [chosen[name] for name in sorted(chosen)]


def _assignments(path: Path) -> Iterator[str]:
    """The values given to ReadWritePaths= in [Service], in order."""
    try:
        text = path.read_text(errors="replace").replace("\\\n", " ")
    except OSError:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        key, found, value = line.partition("=")
        if found and section == "[Service]" and key.strip() == "ReadWritePaths":
            yield value.strip()


def _paths(value: str) -> tuple[Path, ...]:
    """The paths of one assignment, without the "-" and "+" that may stand before each."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    return tuple(Path(word.lstrip("-+").replace("%%", "%")) for word in words)
