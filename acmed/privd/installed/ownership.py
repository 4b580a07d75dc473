# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose the files of a certificate are, and who may read its private key."""

import grp
import pwd
from collections.abc import Iterable

from acmed.config import Certificate, Configuration, Service
from acmed.config.schema import SECRET_FILES
from acmed.privd.files import PRIVATE, PUBLIC, Access
from acmed.privd.refusal import refusal

_KEY_RIGHTS = 0o640  # the most that a private key's mode may have


def service_access(service: Service) -> Access:
    """The group and mode that a service's configuration gives. Raises InvalidConfiguration: there is no such group."""
    if service.group is None:
        return Access(mode=service.mode & 0o700)
    return Access(_group(service.group, f"[service.{service.name}]"), service.mode)


def key_access(configuration: Configuration, certificate: Certificate) -> Access:
    """For privkey.pem in /var/lib/acme/NAME. A key that root provides (key_file) has permissions of its own there, and
    only services get it: what the certificate's file says is for its copies then. Raises InvalidConfiguration.
    """
    if certificate.key_file is not None:
        return _shared(configuration.services[name] for name in certificate.services)
    return _key_access(configuration, certificate)


def own_access(configuration: Configuration, certificate: Certificate, kind: str) -> Access:
    """For a certificate's own copy. Raises InvalidConfiguration."""
    access = _key_access(configuration, certificate)
    if kind in SECRET_FILES:
        return access
    return Access(access.group, PUBLIC.mode if certificate.mode is None else certificate.mode, access.owner)


def check_keyless(configuration: Configuration, certificate: Certificate) -> None:
    """For a certificate whose key is elsewhere. Raises InvalidConfiguration where a service wants to have it."""
    for name in certificate.services:
        if problem := keyless_problem(configuration.services[name]):
            raise refusal("InvalidConfiguration", message=f"{certificate.path}: {problem}")


def keyless_problem(service: Service) -> str:
    """Why a certificate whose key is elsewhere cannot be delivered to a service, or an empty string."""
    kinds = [kind for kind in service.files if kind in SECRET_FILES]
    if not kinds:
        return ""
    files = " and ".join(kinds)
    return f"[service.{service.name}] has files for {files}, and the key is not here: the CSR was made elsewhere"


def _key_access(configuration: Configuration, certificate: Certificate) -> Access:
    """What the certificate's file says; what it does not say is as its services want it. Raises InvalidConfiguration:
    there is no such user or group.
    """
    shared = _shared(configuration.services[name] for name in certificate.services)
    owner = shared.owner if certificate.owner is None else _user(certificate)
    if certificate.group is None:
        group, mode = shared.group, shared.mode
    else:
        group, mode = _group(certificate.group, f"{certificate.path}:"), Service.mode
    if certificate.mode is not None:
        mode = certificate.mode & _KEY_RIGHTS
    return Access(group, mode, owner)


def _shared(services: Iterable[Service]) -> Access:
    """Root alone, or the one group that the services agree upon, with the rights that all of them give (acmed.config
    refuses a certificate whose services want two groups, unless it says which).
    """
    accesses = [service_access(service) for service in services if service.group]
    if not accesses:
        return PRIVATE
    mode = accesses[0].mode
    for access in accesses:
        mode &= access.mode
    return Access(accesses[0].group, mode)


def _user(certificate: Certificate) -> int:
    name = certificate.owner or ""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        message = f"{certificate.path}: owner = {name!r}: there is no such user on this host"
        raise refusal("InvalidConfiguration", message=message) from error


def _group(name: str, where: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        message = f"{where} group = {name!r}: there is no such group on this host"
        raise refusal("InvalidConfiguration", message=message) from error
