# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may read a private key."""

import grp
from collections.abc import Iterable

from acmed.config import Service
from acmed.privd.files import PRIVATE, Access
from acmed.privd.refusal import refusal


def service_access(service: Service) -> Access:
    """The group and mode that a service's configuration gives. Raises InvalidConfiguration: there is no such group."""
    if service.group is None:
        return Access(mode=service.mode & 0o700)
    try:
        return Access(grp.getgrnam(service.group).gr_gid, service.mode)
    except KeyError as error:
        message = f"[service.{service.name}] group = {service.group!r}: there is no such group on this host"
        raise refusal("InvalidConfiguration", message=message) from error


def key_access(services: Iterable[Service]) -> Access:
    """For privkey.pem in /var/lib/acme/NAME: root alone, or the one group that the services agree upon, with the
    rights that all of them give (acmed.config refuses a certificate whose services want two groups).
    """
    accesses = [service_access(service) for service in services if service.group]
    if not accesses:
        return PRIVATE
    mode = accesses[0].mode
    for access in accesses:
        mode &= access.mode
    return Access(accesses[0].group, mode)
