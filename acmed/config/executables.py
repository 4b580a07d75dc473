# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the programs are there, and root's own, that [zone.NAME], [service.NAME] and [notify] name. Who may write one
of them, or put another in its place, tells root what to do: acme-privd, which runs them, looks in the same way.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from acmed.config.load import Loaded
from acmed.config.model import Problem
from acmed.config.plainfile import OTHERS_WRITE, look
from acmed.config.table import Place

_SENDMAIL = Path("/usr/sbin/sendmail")


def problems(loaded: Loaded, hooks: Path) -> Iterator[Problem]:
    """hooks: the directory of the hooks."""
    notify = loaded.configuration.notify
    for zone in loaded.configuration.zones.values():
        places = loaded.tables.zone[zone.name].places
        if zone.hook:
            yield from _hook(places["hook"], hooks, zone.hook)
        if zone.reload:
            yield from _program(places["reload"], Path(zone.reload[0]), stat.S_IXUSR)
    for service in loaded.configuration.services.values():
        if service.hook:
            yield from _hook(loaded.tables.service[service.name].places["hook"], hooks, service.hook)
    if notify.hook:
        yield from _hook(loaded.tables.plain["notify"].places["hook"], hooks, notify.hook)
    if notify.mail and not os.access(_SENDMAIL, os.X_OK):
        place = loaded.tables.plain["notify"].places["mail"]
        yield place.problem(f"no mail can be sent: there is no {_SENDMAIL}", "install a mail server")


def of_others(path: Path) -> Path | None:
    """A directory on the way to a program, as it is written or behind links, that is not root's alone. In one above its
    own, a sticky bit is enough: what is root's there is safe. Raises OSError.
    """
    target = path.resolve()
    for directory in dict.fromkeys((*path.parents, *target.parents)):
        status = directory.stat()
        is_sticky = status.st_mode & stat.S_ISVTX and directory not in (path.parent, target.parent)
        if status.st_uid != 0 or (status.st_mode & OTHERS_WRITE and not is_sticky):
            return directory
    return None


def _hook(place: Place, directory: Path, name: str) -> Iterator[Problem]:
    """A hook runs as a user of its own, so all must be able to execute it; and it is no symbolic link."""
    path = directory / name
    if path.is_symlink():
        yield place.problem(f"{path} is a symbolic link", "copy the program there")
        return
    yield from _program(place, path, stat.S_IXUSR | stat.S_IXOTH)


def _program(place: Place, path: Path, executable: int) -> Iterator[Problem]:
    shell, found = quote(str(path)), look(place, path)
    if isinstance(found, Problem):
        yield found
        return
    try:
        theirs = of_others(path)
    except OSError as error:
        yield place.note(f"{path} is not checked: {error.strerror}", "check as root")
        return
    if found.st_mode & OTHERS_WRITE:
        yield place.problem(f"{path} may be written by others than root", f"chmod go-w {shell}")
    elif theirs:
        directory = quote(str(theirs))
        message = f"{path} can be replaced by others than root, who may write {theirs}"
        yield place.problem(message, f"chown root {directory}; chmod go-w {directory}")
    elif found.st_mode & executable != executable:
        yield place.problem(f"{path} is not executable", f"chmod 755 {shell}")
