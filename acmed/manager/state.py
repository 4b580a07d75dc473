# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed remembers: a JSON file for each certificate and each unfinished job.

A file that is broken is set aside as NAME.broken, logged, and counts as missing: acmed goes on without it.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from acmed import journal
from acmed.manager.installed import Installed
from acmed.varlink.idl import TypeMismatch, parse

_SCHEMA = parse(
    """
interface org.acmed.State
type Installed (stamp: string, fingerprint: string, serial_number: string, issuer: string,
  identifiers: []string, not_before: int, not_after: int)
type Certificate (failures: int, error_name: string, error_message: string, error_time: int, retry_at: int,
  revoked: string, delivered: [string]string, delivery_errors: [string]string, installed: ?Installed, account: string)
type AccountRequest (directory: string, contact: []string, key_type: string, ca_pem: ?string)
type Job (id: int, type: string, name: string, uid: int, started: int, new_key: bool, reason: int, before: string,
  tokens: []string, webroot: bool, account: ?AccountRequest)
"""
)
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class CertificateState:
    """Of one certificate. failures: attempts that failed in a row; retry_at: when the timer may try again.

    revoked: the fingerprint that was revoked. delivered: what each service last got, by fingerprint; a service that
    has not got what is installed is owed it, however that came about. installed: what was read from cert.pem.
    account: the one that got it, "" where that is not known.
    """

    failures: int = 0
    error_name: str = ""
    error_message: str = ""
    error_time: int = 0
    retry_at: int = 0
    revoked: str = ""
    delivered: dict[str, str] = field(default_factory=dict)
    delivery_errors: dict[str, str] = field(default_factory=dict)
    installed: Installed | None = None
    account: str = ""


@dataclass(frozen=True)
class AccountRequest:
    """What AddAccount was asked for. ca_pem: certificates that authenticate the CA's HTTPS; public."""

    directory: str
    contact: tuple[str, ...]
    key_type: str
    ca_pem: str | None


@dataclass(frozen=True)
class JobRecord:
    """An unfinished job. name: the certificate's, or the account's where type is account. uid: who asked for it.

    before: the fingerprint of what was installed when it began. tokens: what may still be presented for it;
    webroot: in a web server's directory.
    """

    id: int
    type: str
    name: str
    uid: int
    started: int
    new_key: bool = False
    reason: int = 0
    before: str = ""
    tokens: tuple[str, ...] = ()
    webroot: bool = False
    account: AccountRequest | None = None


class Store:
    """The state directory. Writing raises OSError."""

    def __init__(self, directory: Path) -> None:
        self._certificates = directory / "certificates"
        self._jobs = directory / "jobs"
        self._counter = directory / "last-job"
        self._known: dict[str, CertificateState] = {}
        for path in (self._certificates, self._jobs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def certificate(self, name: str) -> CertificateState:
        if name not in self._known:
            self._known[name] = _read(self._certificates / f"{name}.json", _certificate) or CertificateState()
        return self._known[name]

    def save_certificate(self, name: str, state: CertificateState) -> None:
        if state != self._known.get(name):
            self._known[name] = state
            _write(self._certificates / f"{name}.json", asdict(state))

    def cache_certificate(self, name: str, state: CertificateState) -> None:
        """For what can be found out again: it costs no fsync, and a disk that is full is no reason to fail."""
        self._known[name] = state
        try:
            _write(self._certificates / f"{name}.json", asdict(state), durable=False)
        except OSError as error:
            journal.warning("Cannot write the state of %s: %s", name, error.strerror or error)

    def forget_certificate(self, name: str) -> None:
        self._known.pop(name, None)
        (self._certificates / f"{name}.json").unlink(missing_ok=True)

    def jobs(self) -> list[JobRecord]:
        """The unfinished jobs, oldest first."""
        found = [_read(path, _job) for path in self._jobs.glob("*.json")]
        return sorted((record for record in found if record), key=lambda record: record.id)

    def save_job(self, record: JobRecord, durable: bool = True) -> None:
        """durable: it is to survive a power failure too."""
        _write(self._jobs / f"{record.id}.json", asdict(record), durable)

    def remove_job(self, number: int) -> None:
        """Where that fails, the job is taken up again by the next run, which finds it done."""
        path = self._jobs / f"{number}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            journal.error("Cannot remove %s: %s", path, error.strerror)

    def next_job(self) -> int:
        """A number that no job has had."""
        try:
            last = int(self._counter.read_text())
        except (FileNotFoundError, ValueError):
            last = max((record.id for record in self.jobs()), default=0)
        _replace(self._counter, str(last + 1).encode(), durable=False)
        return last + 1


def _certificate(data: dict[str, Any]) -> CertificateState:
    _SCHEMA.check(data, _SCHEMA.types["Certificate"])
    installed = data.pop("installed", None)
    if installed:
        installed = Installed(**installed | {"identifiers": tuple(installed["identifiers"])})
    return CertificateState(**data, installed=installed)


def _job(data: dict[str, Any]) -> JobRecord:
    _SCHEMA.check(data, _SCHEMA.types["Job"])
    account = data.pop("account", None)
    if account:
        account = AccountRequest(**account | {"contact": tuple(account["contact"])})
    return JobRecord(**data | {"tokens": tuple(data["tokens"])}, account=account)


def _read(path: Path, decode: Callable[[dict[str, Any]], _Record]) -> _Record | None:
    try:
        return decode(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeMismatch, RecursionError) as error:
        aside = path.with_name(f"{path.name}.broken")
        path.rename(aside)
        journal.error("%s is broken (%s) and was set aside as %s", path, error or type(error).__name__, aside.name)
        return None


def _write(path: Path, data: dict[str, Any], durable: bool = True) -> None:
    _replace(path, json.dumps(data, indent=1).encode() + b"\n", durable)


def _replace(path: Path, data: bytes, durable: bool) -> None:
    """The file has its old content or its new one at any time; durable: after a power failure too."""
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    new.rename(path)
    if durable:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
