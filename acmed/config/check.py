# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `acmectl config check` looks at beyond the files of the configuration: groups, keys, directories, the unit."""

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from acmed import paths
from acmed.config import accountkeys, anchors, credentials, delivery, executables, ownership, validation
from acmed.config.document import readable
from acmed.config.load import Loaded
from acmed.config.model import Problem
from acmed.config.sandbox import read_write_paths

_ENTER = stat.S_IXOTH
_LIST = stat.S_IXOTH | stat.S_IROTH
_SEALED = paths.ACCOUNT_CREDENTIALS.parent


def check(
    loaded: Loaded,
    sealed: Path = _SEALED,
    hooks: Path = paths.HOOKS,
    known_hosts: Path = paths.KNOWN_HOSTS,
    opened: tuple[Path, ...] = (),
) -> tuple[Problem, ...]:
    """What is wrong on this host, besides loaded.problems. What the caller may not see becomes a note. opened:
    directories that acme-privd will be allowed to write to, besides those that it is.

    May ask systemd and ssh-keygen, for at most 10 seconds each; changes nothing, and uses no key.
    """
    writable = read_write_paths()
    return (
        *_closed(loaded),
        *_unreadable(loaded),
        *validation.problems(loaded),
        *executables.problems(loaded, hooks),
        *_ca_files(loaded),
        *anchors.problems(loaded),
        *credentials.problems(loaded, sealed),
        *accountkeys.problems(loaded, sealed, known_hosts),
        *ownership.problems(loaded),
        *delivery.hidden(loaded),
        *delivery.files(loaded, None if writable is None else (*writable, *opened)),
    )


def _closed(loaded: Loaded) -> Iterator[Problem]:
    """Directories that root can read, and acmed's daemons cannot; what nobody can read is in loaded.problems."""
    etc, usr = loaded.etc, loaded.usr
    wanted = dict.fromkeys((etc, etc / "ca", usr), _ENTER)
    wanted |= dict.fromkeys((etc / "acmed.toml.d", etc / "certificates.d", usr / "services.d"), _LIST)
    known = {problem.path for problem in loaded.problems}
    for directory, bits in wanted.items():
        with suppress(OSError):  # it is not there, or in one that is closed
            if directory not in known and directory.stat().st_mode & bits != bits:
                message = "is closed to acmed's daemons, which have users of their own: nothing in it counts"
                yield Problem(directory, 0, message, readable(directory))


def _unreadable(loaded: Loaded) -> Iterator[Problem]:
    """Files of which the same is true."""
    all_tables = loaded.tables
    named = (all_tables.plain, all_tables.account, all_tables.service, all_tables.zone, all_tables.certificate)
    read = {
        place.path for tables in named for table in tables.values() for place in (table.place, *table.places.values())
    }
    for path in sorted(read):
        with suppress(OSError):  # it is gone since
            if not path.stat().st_mode & stat.S_IROTH:
                message = "is not readable by all users, and so not by acmed's daemons, which have users of their own"
                yield Problem(path, 0, message, f"chmod a+r {quote(str(path))}; no secret belongs in it")


def _ca_files(loaded: Loaded) -> list[Problem]:
    problems = []
    for account in loaded.configuration.accounts.values():
        if account.ca_file is not None and (fault := _ca_fault(account.ca_file)):
            place = loaded.tables.account[account.name].places["ca-file"]
            problems.append(place.problem(f"{account.ca_file} {fault}"))
    return problems


def _ca_fault(path: Path) -> str:
    """Why the file cannot be used to authenticate a CA, or an empty string."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "is not a plain file"
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return anchors.unreadable(content) or (
        ""
        if status.st_mode & stat.S_IROTH
        else "must be readable by all users (chmod a+r): acme-clientd has a user of its own"
    )
