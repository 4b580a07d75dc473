# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether this host has the users and groups that are to get private keys."""

import grp
import pwd
from collections.abc import Iterator

from acmed.config.load import Loaded
from acmed.config.model import Problem
from acmed.config.words import listed


def problems(loaded: Loaded) -> Iterator[Problem]:
    yield from _services(loaded)
    for certificate in loaded.configuration.certificates.values():
        places = loaded.tables.certificate[certificate.name].places
        if certificate.owner is not None and not _is_user(certificate.owner):
            yield places["owner"].problem(f"there is no user '{certificate.owner}' here", "install what makes the user")
        if certificate.group is not None and not _is_group(certificate.group):
            yield places["group"].problem(
                f"there is no group '{certificate.group}' here", "install what makes the group"
            )


def _services(loaded: Loaded) -> Iterator[Problem]:
    """Of services that certificates use."""
    used = {name for certificate in loaded.configuration.certificates.values() for name in certificate.services}
    for service in (loaded.configuration.services[name] for name in sorted(used)):
        if service.group is not None and not _is_group(service.group):
            place = loaded.tables.service[service.name].places["group"]
            users = [c.name for c in loaded.configuration.certificates.values() if service.name in c.services]
            message = f"there is no group '{service.group}' here, and {listed(users)} would give it the private key"
            hint = f"install what makes the group, or remove '{service.name}' from their 'services'"
            yield place.problem(message, hint)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
