# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `acmectl config check` looks at beyond the files of the configuration: groups, keys, directories, the unit."""

import grp
import stat
from pathlib import Path

from acmed import paths
from acmed.config import credentials, delivery, executables, validation
from acmed.config.load import Loaded
from acmed.config.model import Problem
from acmed.config.sandbox import read_write_paths
from acmed.config.words import listed

_SEALED = paths.ACCOUNT_CREDENTIALS.parent


def check(loaded: Loaded, sealed: Path = _SEALED, hooks: Path = paths.HOOKS) -> tuple[Problem, ...]:
    """What is wrong on this host, besides loaded.problems. What the caller may not see becomes a note.

    May ask systemd, for at most 10 seconds; changes nothing, and opens no key.
    """
    return (
        *validation.problems(loaded),
        *executables.problems(loaded, hooks),
        *_ca_files(loaded),
        *credentials.problems(loaded, sealed),
        *_groups(loaded),
        *delivery.hidden(loaded),
        *delivery.files(loaded, read_write_paths()),
    )


def _ca_files(loaded: Loaded) -> list[Problem]:
    problems = []
    for account in loaded.configuration.accounts.values():
        if account.ca_file is not None and (fault := _ca_fault(account.ca_file)):
            place = loaded.tables.account[account.name].places["ca-file"]
            problems.append(place.problem(f"{account.ca_file} {fault}"))
    return problems


def _ca_fault(path: Path) -> str:
    """Why the file cannot be used to authenticate a CA, or an empty string."""
    import ssl  # noqa: PLC0415  slow to load, and few accounts have such a file

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "is not a plain file"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=path.read_bytes().decode("ascii", "ignore"))
    except ssl.SSLError:
        return "has no certificates in PEM format that can be read"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:
        return "has no certificates in PEM format in it"
    if not context.cert_store_stats()["x509"]:
        return "has no certificates in PEM format in it"
    return (
        ""
        if status.st_mode & stat.S_IROTH
        else "must be readable by all users (chmod a+r): acme-clientd has a user of its own"
    )


def _groups(loaded: Loaded) -> list[Problem]:
    """Groups of used services that this host does not have."""
    problems = []
    used = {name for certificate in loaded.configuration.certificates.values() for name in certificate.services}
    for service in (loaded.configuration.services[name] for name in sorted(used)):
        if service.group is None:
            continue
        try:
            grp.getgrnam(service.group)
        except KeyError:
            place = loaded.tables.service[service.name].places["group"]
            users = [c.name for c in loaded.configuration.certificates.values() if service.name in c.services]
            message = f"there is no group '{service.group}' here, and {listed(users)} would give it the private key"
            hint = f"install what makes the group, or remove '{service.name}' from their 'services'"
            problems.append(place.problem(message, hint))
    return problems
