# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may read a private key."""

import grp
from collections.abc import Iterable

from acmed.config import Certificate, Configuration, Service
from acmed.privd.files import PRIVATE, Access
from acmed.privd.refusal import refusal
from acmed.privd.sets import SECRET


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


def check_keyless(configuration: Configuration, certificate: Certificate) -> None:
    """For a certificate whose key is elsewhere. Raises InvalidConfiguration where a service wants to have it."""
    for name in certificate.services:
        if problem := keyless_problem(configuration.services[name]):
            raise refusal("InvalidConfiguration", message=f"{certificate.path}: {problem}")


def keyless_problem(service: Service) -> str:
    """Why a certificate whose key is elsewhere cannot be delivered to a service, or an empty string."""
    kinds = [kind for kind in service.files if kind in SECRET]
    if not kinds:
        return ""
    files = " and ".join(kinds)
    return f"[service.{service.name}] has files for {files}, and the key is not here: the CSR was made elsewhere"
