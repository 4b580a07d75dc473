# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1 as acmectl uses it: a method here is a call there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acmed.bus import Bus, DBusError, Variant
from acmed.ctl.records import Account, Certificate, Job

NAME = "org.acmed1"
ROOT = "/org/acmed1"
MANAGER = "org.acmed1.Manager"
CERTIFICATE = "org.acmed1.Certificate"
ACCOUNT = "org.acmed1.Account"
JOB = "org.acmed1.Job"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"

_TIMEOUT = 25.0  # seconds: acmed may have to be started first
_ASKING_TIMEOUT = 300.0  # a person types a password meanwhile


@dataclass(frozen=True)
class Started:
    """A job that was started. name: the certificate's, or the account's, as account says.

    before: the certificate's fingerprint then; None where it was not looked up.
    """

    id: int
    path: str
    name: str
    before: str | None = None
    account: bool = False


@dataclass(frozen=True)
class Objects:
    """All objects, each kind in the order of their names or numbers."""

    certificates: tuple[Certificate, ...]
    accounts: tuple[Account, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Manager:
    """The properties of org.acmed1.Manager."""

    version: str
    next_renewal: int
    default_account: str


class Acmed:
    """acmed, over a bus. ask: polkit may ask a person. Each method raises DBusError and BusLost."""

    def __init__(self, bus: Bus, ask: bool) -> None:
        self.bus = bus
        self._ask = ask

    async def objects(self) -> Objects:
        """All of them, in one call."""
        (found,) = await self._read(ROOT, OBJECT_MANAGER, "GetManagedObjects")
        certificates, accounts, jobs = [], [], []
        for path, interfaces in found.items():
            if CERTIFICATE in interfaces:
                certificates.append(Certificate.read(path, plain(interfaces[CERTIFICATE])))
            if ACCOUNT in interfaces:
                accounts.append(Account.read(path, plain(interfaces[ACCOUNT])))
            if JOB in interfaces:
                jobs.append(Job.read(path, plain(interfaces[JOB])))
        return Objects(
            tuple(sorted(certificates, key=lambda certificate: certificate.name)),
            tuple(sorted(accounts, key=lambda account: account.name)),
            tuple(sorted(jobs, key=lambda job: job.id)),
        )

    async def manager(self) -> Manager:
        """acmed's own properties."""
        values = await self._properties(ROOT, MANAGER)
        return Manager(
            str(values.get("Version", "")), int(values.get("NextRenewal", 0)), str(values.get("DefaultAccount", ""))
        )

    async def certificate(self, name: str) -> Certificate:
        """One certificate. Raises DBusError NoSuchCertificate."""
        (path,) = await self._read(ROOT, MANAGER, "GetCertificate", "s", name)
        return Certificate.read(path, await self._properties(path, CERTIFICATE))

    async def fingerprint(self, name: str) -> str:
        """What is installed under a name now; empty for nothing."""
        try:
            return (await self.certificate(name)).fingerprint
        except DBusError as error:
            if error.name == "org.acmed1.Error.NoSuchCertificate":
                return ""
            raise

    async def order(self, name: str, identifiers: Sequence[str], options: Mapping[str, str | list[str]]) -> Started:
        """Orders a certificate; options: account, key-type, services."""
        before = await self.fingerprint(name)
        _, number, path = await self._change(
            ROOT, MANAGER, "Order", "sasa{sv}", name, list(identifiers), _variants(options)
        )
        return Started(number, path, name, before)

    async def renew(self, name: str, options: Mapping[str, bool]) -> Started:
        """Renews a certificate; options: force, new-key."""
        certificate = await self.certificate(name)
        number, path = await self._change(certificate.path, CERTIFICATE, "Renew", "a{sv}", _variants(options))
        return Started(number, path, name, certificate.fingerprint)

    async def renew_due(self) -> list[Started]:
        """Renews what is due."""
        (jobs,) = await self._change(ROOT, MANAGER, "RenewDue", "t", 0)
        return [Started(number, path, name) for name, number, path in jobs]

    async def revoke(self, name: str, reason: int) -> Started:
        """Revokes a certificate; reason: RFC 5280 section 5.3.1."""
        certificate = await self.certificate(name)
        number, path = await self._change(certificate.path, CERTIFICATE, "Revoke", "ua{sv}", reason, {})
        return Started(number, path, name, certificate.fingerprint)

    async def forget(self, name: str) -> Certificate:
        """Ends the management of a certificate; the answer is what it was."""
        certificate = await self.certificate(name)
        await self._change(certificate.path, CERTIFICATE, "Forget")
        return certificate

    async def add_account(self, name: str, options: Mapping[str, str | bool | list[str]]) -> Started:
        """Adds an account; options: directory, contact, agree-tos, ca-pem, key-type."""
        number, path = await self._change(ROOT, MANAGER, "AddAccount", "sa{sv}", name, _variants(options))
        return Started(number, path, name, account=True)

    async def cancel(self, job: int) -> None:
        """Ends a job."""
        await self._change(f"{ROOT}/job/_{job}", JOB, "Cancel")

    async def _properties(self, path: str, interface: str) -> dict[str, Any]:
        (values,) = await self._read(path, PROPERTIES, "GetAll", "s", interface)
        return plain(values)

    async def _read(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> list[Any]:
        return await self.bus.call(NAME, path, interface, member, signature, *body, timeout=_TIMEOUT)

    async def _change(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> list[Any]:
        timeout = _ASKING_TIMEOUT if self._ask else _TIMEOUT
        return await self.bus.call(
            NAME, path, interface, member, signature, *body, timeout=timeout, interactive=self._ask
        )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """An a{sv} without its variants."""
    return {key: value.value if isinstance(value, Variant) else value for key, value in values.items()}


def _variants(options: Mapping[str, str | bool | list[str]]) -> dict[str, Variant]:
    """The options of an extensible call: s, b or as."""
    return {key: Variant(_signature(value), value) for key, value in options.items()}


def _signature(value: str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "b"
    return "s" if isinstance(value, str) else "as"
