# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1 as acmectl uses it: a method here is a call there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acmed.bus import Bus, DBusError, Variant
from acmed.ctl.records import Account, Certificate, Finding, Job, Mistake, Record

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
_CHECK_TIMEOUT = 120.0  # DNS and a CA are asked

Options = Mapping[str, str | bool | int | list[str]]


@dataclass(frozen=True)
class Started:
    """A job that was started. name: the certificate's, or the account's, as account says; with names_only, what is
    validated, and no certificate is meant, even where there is one of that name.

    before: the certificate's fingerprint then; None where it was not looked up.
    """

    id: int
    path: str
    name: str
    before: str | None = None
    account: bool = False
    names_only: bool = False


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

    async def mistakes(self) -> tuple[Mistake, ...]:
        """What is wrong in the configuration, and so does not count."""
        (found,) = await self._read(ROOT, MANAGER, "CheckConfiguration")
        return tuple(Mistake(str(file), int(line), str(message), str(hint)) for file, line, message, hint in found)

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

    async def order(self, name: str, identifiers: Sequence[str], options: Options) -> Started:
        """Orders a certificate; options: those of org.acmed1(5)."""
        before = await self.fingerprint(name)
        _, number, path = await self._change(
            ROOT, MANAGER, "Order", "sasa{sv}", name, list(identifiers), _variants(options)
        )
        return Started(number, path, name, before)

    async def order_csr(self, name: str, csr: bytes, options: Options) -> Started:
        """Orders a certificate for a CSR (DER) that was made elsewhere."""
        before = await self.fingerprint(name)
        _, number, path = await self._change(ROOT, MANAGER, "OrderCSR", "saya{sv}", name, csr, _variants(options))
        return Started(number, path, name, before)

    async def authorize(self, identifiers: Sequence[str], options: Options) -> Started:
        """Has names validated without a certificate; options: account."""
        number, path = await self._change(ROOT, MANAGER, "Authorize", "asa{sv}", list(identifiers), _variants(options))
        return Started(number, path, " ".join(identifiers), names_only=True)

    async def renew(self, name: str, options: Options) -> Started:
        """Renews a certificate; options: force, new-key, min-days."""
        certificate = await self.certificate(name)
        number, path = await self._change(certificate.path, CERTIFICATE, "Renew", "a{sv}", _variants(options))
        return Started(number, path, name, certificate.fingerprint)

    async def renew_due(self) -> list[Started]:
        """Renews what is due."""
        (jobs,) = await self._change(ROOT, MANAGER, "RenewDue", "t", 0)
        return [Started(number, path, name) for name, number, path in jobs]

    async def revoke(self, name: str, reason: int, options: Options) -> Started:
        """Revokes a certificate; reason: RFC 5280 section 5.3.1. options: replace, certificate-key."""
        certificate = await self.certificate(name)
        number, path = await self._change(certificate.path, CERTIFICATE, "Revoke", "ua{sv}", reason, _variants(options))
        return Started(number, path, name, certificate.fingerprint)

    async def revoke_other(self, name: str, der: bytes, reason: int, options: Options) -> Started:
        """Revokes a certificate that may not be ours; name is what to call it. options: account, replace."""
        number, path = await self._change(ROOT, MANAGER, "RevokeOther", "ayua{sv}", der, reason, _variants(options))
        return Started(number, path, name)

    async def restore(self, name: str) -> Started:
        """Puts the installed files back."""
        certificate = await self.certificate(name)
        number, path = await self._change(certificate.path, CERTIFICATE, "Restore", "a{sv}", {})
        return Started(number, path, name, certificate.fingerprint)

    async def check(self, name: str) -> list[Finding]:
        """Whether an order of a certificate would succeed."""
        certificate = await self.certificate(name)
        timeout = _ASKING_TIMEOUT if self._ask else _CHECK_TIMEOUT
        (found,) = await self.bus.call(
            NAME, certificate.path, CERTIFICATE, "Check", "a{sv}", {}, timeout=timeout, interactive=self._ask
        )
        return [Finding(*map(str, row)) for row in found]

    async def records(self, name: str) -> list[Record]:
        """The DNS records to publish for a certificate."""
        certificate = await self.certificate(name)
        (found,) = await self._read(certificate.path, CERTIFICATE, "ListRecords", "a{sv}", {})
        return [Record(str(name), str(kind), str(value), int(ttl)) for name, kind, value, ttl in found]

    async def forget(self, name: str) -> Certificate:
        """Ends the management of a certificate; the answer is what it was."""
        certificate = await self.certificate(name)
        await self._change(certificate.path, CERTIFICATE, "Forget")
        return certificate

    async def add_account(self, name: str, options: Options) -> Started:
        """Adds an account; options: those of org.acmed1(5)."""
        number, path = await self._change(ROOT, MANAGER, "AddAccount", "sa{sv}", name, _variants(options))
        return Started(number, path, name, account=True)

    async def change_account(self, account: Account, method: str, options: Options) -> Started:
        """Update, Deactivate or RolloverKey of an account."""
        number, path = await self._change(account.path, ACCOUNT, method, "a{sv}", _variants(options))
        return Started(number, path, account.name, account=True)

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


def _variants(options: Options) -> dict[str, Variant]:
    """The options of an extensible call: s, b, u or as."""
    return {key: Variant(_signature(value), value) for key, value in options.items()}


def _signature(value: str | bool | int | list[str]) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int):
        return "u"
    return "s" if isinstance(value, str) else "as"
