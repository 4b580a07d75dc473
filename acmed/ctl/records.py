# SPDX-License-Identifier: LGPL-2.1-or-later
"""The objects of org.acmed1 as data, read from their properties, and as the JSON that acmectl(1) documents.

A property that is missing or of another type counts as empty: acmed may be older than acmectl, never the other way.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from acmed.ctl import times

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Error:
    """A D-Bus error's name and message, and when it was (microseconds since the epoch, 0 where not known)."""

    name: str
    message: str
    time: int = 0

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "message": self.message, "time": times.iso(self.time)}


@dataclass(frozen=True)
class Certificate:
    """org.acmed1.Certificate. job is 0 where none runs. error_job: the type of the job that error is of."""

    path: str
    name: str
    identifiers: tuple[str, ...] = ()
    account: str = ""
    key_type: str = ""
    services: tuple[str, ...] = ()
    state: str = ""
    not_before: int = 0
    not_after: int = 0
    renew_at: int = 0
    serial_number: str = ""
    issuer: str = ""
    fingerprint: str = ""
    paths: tuple[tuple[str, str], ...] = ()
    error: Error | None = None
    failures: int = 0
    undelivered: tuple[tuple[str, str], ...] = ()
    job: int = 0
    failover: tuple[str, ...] = ()
    challenge: str = ""
    profile: str = ""
    differences: tuple[str, ...] = ()
    window: tuple[int, int] = (0, 0)
    explanation: str = ""
    retry_at: int = 0
    endangered: bool = False
    damaged: bool = False
    error_job: str = ""
    unrevoked: bool = False

    @classmethod
    def read(cls, path: str, properties: Properties) -> "Certificate":
        return cls(
            path=path,
            name=text(properties, "Name"),
            identifiers=texts(properties, "Identifiers"),
            account=text(properties, "Account"),
            key_type=text(properties, "KeyType"),
            services=texts(properties, "Services"),
            state=text(properties, "State"),
            not_before=number(properties, "NotBefore"),
            not_after=number(properties, "NotAfter"),
            renew_at=number(properties, "RenewAt"),
            serial_number=text(properties, "SerialNumber"),
            issuer=text(properties, "Issuer"),
            fingerprint=text(properties, "FingerprintSHA256"),
            paths=_paths(properties.get("Paths")),
            error=error(properties, "LastError", number(properties, "LastErrorTimestamp")),
            failures=number(properties, "Failures"),
            undelivered=pairs(properties, "Undelivered"),
            job=_first_number(properties.get("Job")),
            failover=texts(properties, "Failover"),
            challenge=text(properties, "Challenge"),
            profile=text(properties, "Profile"),
            differences=texts(properties, "Differences"),
            window=_window(properties.get("RenewalWindow")),
            explanation=text(properties, "RenewalExplanation"),
            retry_at=number(properties, "RetryAt"),
            endangered=properties.get("Endangered") is True,
            damaged=properties.get("Damaged") is True,
            error_job=text(properties, "LastErrorJob"),
            unrevoked=properties.get("Unrevoked") is True,
        )

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "identifiers": list(self.identifiers),
            "account": self.account,
            "keyType": self.key_type,
            "services": list(self.services),
            "state": self.state,
            "notBefore": times.iso(self.not_before),
            "notAfter": times.iso(self.not_after),
            "renewAt": times.iso(self.renew_at),
            "serialNumber": self.serial_number,
            "issuer": self.issuer,
            "fingerprintSHA256": self.fingerprint,
            "paths": dict(self.paths),
            "lastError": self.error.json() if self.error else None,
            "failures": self.failures,
            "undelivered": undelivered_json(self.undelivered),
            "job": self.job or None,
            "failover": list(self.failover),
            "challenge": self.challenge or None,
            "profile": self.profile or None,
            "differences": list(self.differences),
            "renewalWindow": [times.iso(moment) for moment in self.window] if all(self.window) else None,
            "renewalExplanation": self.explanation or None,
            "retryAt": times.iso(self.retry_at),
            "endangered": self.endangered,
            "damaged": self.damaged,
            "lastErrorJob": self.error_job or None,
            "unrevoked": self.unrevoked,
        }


@dataclass(frozen=True)
class Account:
    """org.acmed1.Account. error, failures and retry_at: of the names that it is to have validated."""

    path: str
    name: str
    directory: str = ""
    uri: str = ""
    contact: tuple[str, ...] = ()
    status: str = ""
    terms: str = ""
    authorize: tuple[str, ...] = ()
    key: str = ""
    error: Error | None = None
    failures: int = 0
    retry_at: int = 0

    @classmethod
    def read(cls, path: str, properties: Properties) -> "Account":
        return cls(
            path,
            text(properties, "Name"),
            text(properties, "Directory"),
            text(properties, "URI"),
            texts(properties, "Contact"),
            text(properties, "Status"),
            text(properties, "TermsOfService"),
            texts(properties, "Authorize"),
            text(properties, "KeySource"),
            error(properties, "LastError", number(properties, "LastErrorTimestamp")),
            number(properties, "Failures"),
            number(properties, "RetryAt"),
        )

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "directory": self.directory,
            "uri": self.uri or None,
            "contact": list(self.contact),
            "status": self.status or None,
            "termsOfService": self.terms or None,
            "authorize": list(self.authorize),
            "key": self.key or None,
            "lastError": self.error.json() if self.error else None,
            "failures": self.failures,
            "retryAt": times.iso(self.retry_at),
        }


@dataclass(frozen=True)
class Mistake:
    """What is wrong in acmed's configuration. line: 0 where it is about the file."""

    file: str
    line: int
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"

    def json(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line or None, "message": self.message, "hint": self.hint or None}


@dataclass(frozen=True)
class Finding:
    """What a check found; severity: ok, warning or error."""

    check: str
    subject: str
    severity: str
    message: str

    def json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Record:
    """A DNS record to publish. name: without the final dot; ttl: seconds."""

    name: str
    type: str
    value: str
    ttl: int

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Job:
    """org.acmed1.Job. certificate is the name of what it works on; an account's for a job of type "account"."""

    path: str
    id: int
    type: str = ""
    certificate: str = ""
    uid: int = 0
    started: int = 0
    step: str = ""
    progress: int = 0
    challenges: tuple[tuple[str, str, str], ...] = ()
    error: Error | None = None
    detail: str = ""
    deadline: int = 0

    @classmethod
    def read(cls, path: str, properties: Properties) -> "Job":
        certificate = properties.get("Certificate")
        return cls(
            path=path,
            id=number(properties, "Id"),
            type=text(properties, "Type"),
            certificate=str(certificate[0]) if isinstance(certificate, list | tuple) and certificate else "",
            uid=number(properties, "StartedByUID"),
            started=number(properties, "StartTimestamp"),
            step=text(properties, "Step"),
            progress=number(properties, "Progress"),
            challenges=_triples(properties.get("Challenges")),
            error=error(properties, "Error"),
            detail=text(properties, "Detail"),
            deadline=number(properties, "Deadline"),
        )

    def updated(self, values: Properties) -> "Job":
        """The job with the properties that changed."""
        new = Job.read(self.path, values)
        return replace(
            self,
            type=new.type or self.type,
            certificate=new.certificate or self.certificate,
            started=new.started or self.started,
            step=new.step or self.step,
            progress=new.progress if "Progress" in values else self.progress,
            challenges=new.challenges if "Challenges" in values else self.challenges,
            error=new.error or self.error,
            detail=new.detail if "Detail" in values else self.detail,
            deadline=new.deadline if "Deadline" in values else self.deadline,
        )

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "certificate": self.certificate,
            "startedByUID": self.uid,
            "started": times.iso(self.started),
            "step": self.step,
            "progress": self.progress,
            "detail": self.detail or None,
            "deadline": times.iso(self.deadline),
            "challenges": [
                {"identifier": identifier, "type": kind, "status": status}
                for identifier, kind, status in self.challenges
            ],
        }


def undelivered_json(undelivered: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    """Services that still wait for a certificate, and why."""
    return [{"service": service, "error": message} for service, message in undelivered]


def text(properties: Properties, name: str) -> str:
    """A property of type s or o."""
    value = properties.get(name)
    return value if isinstance(value, str) else ""


def number(properties: Properties, name: str) -> int:
    """A property of type t or u."""
    value = properties.get(name)
    return value if isinstance(value, int) else 0


def texts(properties: Properties, name: str) -> tuple[str, ...]:
    """A property of type as."""
    value = properties.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def error(properties: Properties, name: str, time: int = 0) -> Error | None:
    """A property of type (ss) with an error's name and message; None where both are empty."""
    value = properties.get(name)
    if not isinstance(value, list | tuple) or len(value) != 2 or not any(value):
        return None
    return Error(str(value[0]), str(value[1]), time)


def pairs(properties: Properties, name: str) -> tuple[tuple[str, str], ...]:
    """A property of type a(ss)."""
    value = properties.get(name)
    items = value if isinstance(value, list | tuple) else ()
    return tuple((str(item[0]), str(item[1])) for item in items if len(item) == 2)


def _paths(value: Any) -> tuple[tuple[str, str], ...]:
    items = value.items() if isinstance(value, dict) else ()
    return tuple(sorted((str(kind), str(path)) for kind, path in items))


def _triples(value: Any) -> tuple[tuple[str, str, str], ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple((str(item[0]), str(item[1]), str(item[2])) for item in items if len(item) == 3)


def _window(value: Any) -> tuple[int, int]:
    """A (tt)."""
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(item, int) for item in value):
        return value[0], value[1]
    return 0, 0


def _first_number(value: Any) -> int:
    """The t of a (to)."""
    return value[0] if isinstance(value, list | tuple) and value and isinstance(value[0], int) else 0
