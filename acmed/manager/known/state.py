# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state directory: a JSON file for each certificate, each account and each unfinished job, and for what those that
have ended owe, and one for the names of the certificates that are configured.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acmed import atomicfile, journal
from acmed.manager.known import jsonfile, remembered
from acmed.manager.known.remembered import AccountState, CertificateState
from acmed.varlink.idl import parse

_SCHEMA = parse(
    """
interface org.acmed.State
type AccountRequest (directory: string, contact: []string, key_type: string, ca_pem: ?string, agreed: bool, new: bool)
type Presented (type: string, identifier: string, how: string, value: string, account: string, zone: string,
  name: string)
type Configured (names: []string)
type Owed (presented: []Presented, since: int, failures: int, tried: int, retry_at: int)
type Job (id: int, type: string, name: string, uid: int, started: int, new_key: bool, reason: int, before: string,
  presented: []Presented, account: ?AccountRequest, account_name: string, identifiers: []string,
  contact: []string, key_type: string, der: string, replace: bool, certificate_key: bool, changed: bool,
  found: bool)
"""
)

# How an answer to a challenge got to where it is: a file of ours, a file in a web server's directory (acme-privd), an
# update of a zone (acme-dnsd), or the zone's own way (acme-privd).
DIRECTORY, WEBROOT, UPDATE, PUBLISH = "directory", "webroot", "update", "publish"
_MOST_JOBS = 2**53  # more than there can be, and a number that also JSON is sure to carry


@dataclass(frozen=True)
class AccountRequest:
    """What AddAccount was asked for. directory: empty for that of the configuration, with its CA file. ca_pem:
    certificates that authenticate the CA's HTTPS; public. key_type: of a key that is to be made, empty where there is
    one. agreed: to the CA's terms of service. new: there was no such account before.
    """

    directory: str
    contact: tuple[str, ...]
    key_type: str
    ca_pem: str | None
    agreed: bool = True
    new: bool = False


@dataclass(frozen=True)
class Presented:
    """What answers a challenge of a type, and how it got there. identifier: the value, without "*.".

    how: DIRECTORY (value is a file's name), WEBROOT (a token), UPDATE (a TXT record's text; account: the URL that its
    label is made of) or PUBLISH (the same; name and zone: where it belongs).
    """

    type: str
    identifier: str
    how: str
    value: str
    account: str = ""
    zone: str = ""
    name: str = ""


@dataclass(frozen=True)
class Owed:
    """What is presented although its job has ended, as it could not be withdrawn. since: when that was. failures: so
    many attempts failed; tried: when the last one did; retry_at: when the next one is to be.
    """

    presented: tuple[Presented, ...]
    since: int
    failures: int
    tried: int
    retry_at: int


@dataclass(frozen=True)
class JobRecord:
    """An unfinished job. name: what it is about (jobs.Kind). uid: who asked for it.

    before: the fingerprint of what was installed when it began. presented: what may still be there for it. account: of
    a new one. account_name: who is to authorize identifiers, or to revoke a certificate that a caller gave (der:
    base64). contact, key_type: what an account's are to become. replace: what is revoked is to be ordered again.
    certificate_key: a revocation is signed by the certificate's own key. changed: the CA has the account's next key.
    found: the CA has revoked it already (reason: as it says).
    """

    id: int
    type: str
    name: str
    uid: int
    started: int
    new_key: bool = False
    reason: int = 0
    before: str = ""
    presented: tuple[Presented, ...] = ()
    account: AccountRequest | None = None
    account_name: str = ""
    identifiers: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    key_type: str = ""
    der: str = ""
    replace: bool = False
    certificate_key: bool = False
    changed: bool = False
    found: bool = False


# What is not in every record, as JSON has it.
_LATER: dict[str, Any] = {
    key: list(value) if isinstance(value, tuple) else value
    for key, value in asdict(JobRecord(0, "", "", 0, 0)).items()
    if key not in ("id", "type", "name", "uid", "started")
}


class Store:
    """Writing raises OSError."""

    def __init__(self, directory: Path) -> None:
        self._certificates = directory / "certificates"
        self._accounts = directory / "accounts"
        self._jobs = directory / "jobs"
        self._owed = directory / "owed"
        self._counter = directory / "last-job"
        self._configured = directory / "configured.json"
        self._known: dict[str, CertificateState] = {}
        self._known_accounts: dict[str, AccountState] = {}
        for path in (self._certificates, self._accounts, self._jobs, self._owed):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {path.stem: jsonfile.read(path, _debt) for path in self._owed.glob("*.json")}
        self._known_owed = {name: owed for name, owed in found.items() if owed}
        self._known_configured = jsonfile.read(self._configured, _names)

    @property
    def certificates(self) -> set[str]:
        """The names of those that something is remembered of."""
        return {path.stem for path in self._certificates.glob("*.json")}

    @property
    def configured(self) -> set[str]:
        """Those of them that were configured when all of that could be read last; all, where that is not known."""
        known = self._known_configured
        return self.certificates if known is None else self.certificates & known

    def cache_configured(self, names: set[str]) -> None:
        """names: of all certificates that are configured."""
        if names != self._known_configured:
            self._known_configured = names
            jsonfile.cache(self._configured, {"names": sorted(names)})

    def certificate(self, name: str) -> CertificateState:
        if name not in self._known:
            path = self._certificates / f"{name}.json"
            self._known[name] = jsonfile.read(path, remembered.certificate) or CertificateState()
        return self._known[name]

    def save_certificate(self, name: str, state: CertificateState) -> None:
        if state != self._known.get(name):
            self._known[name] = state
            jsonfile.write(self._certificates / f"{name}.json", asdict(state))

    def cache_certificate(self, name: str, state: CertificateState) -> None:
        """For what can be found out again."""
        self._known[name] = state
        jsonfile.cache(self._certificates / f"{name}.json", asdict(state))

    def forget_certificate(self, name: str) -> None:
        self._known.pop(name, None)
        (self._certificates / f"{name}.json").unlink(missing_ok=True)

    def account(self, name: str) -> AccountState:
        if name not in self._known_accounts:
            path = self._accounts / f"{name}.json"
            self._known_accounts[name] = jsonfile.read(path, remembered.account) or AccountState()
        return self._known_accounts[name]

    def cache_account(self, name: str, state: AccountState) -> None:
        """All of it can be found out again, but that a CA was asked for the account. Raises OSError where that is new,
        and cannot be kept.
        """
        if state == self._known_accounts.get(name):
            return
        path = self._accounts / f"{name}.json"
        if state.asked and state.asked != self.account(name).asked:
            jsonfile.write(path, asdict(state))
        else:
            jsonfile.cache(path, asdict(state), durable=bool(state.asked))
        self._known_accounts[name] = state

    def forget_account(self, name: str) -> None:
        self._known_accounts.pop(name, None)
        (self._accounts / f"{name}.json").unlink(missing_ok=True)

    @property
    def owed(self) -> dict[str, Owed]:
        """By the names of the jobs that it is of."""
        return dict(self._known_owed)

    def save_owed(self, name: str, owed: Owed) -> None:
        self._known_owed[name] = owed
        jsonfile.write(self._owed / f"{name}.json", asdict(owed))

    def forget_owed(self, name: str) -> None:
        self._known_owed.pop(name, None)
        (self._owed / f"{name}.json").unlink(missing_ok=True)

    def jobs(self) -> list[JobRecord]:
        """The unfinished jobs, oldest first."""
        found = [jsonfile.read(path, _job) for path in self._jobs.glob("*.json")]
        return sorted((record for record in found if record), key=lambda record: record.id)

    def save_job(self, record: JobRecord, durable: bool = True) -> None:
        """durable: it is to survive a power failure too."""
        jsonfile.write(self._jobs / f"{record.id}.json", asdict(record), durable)

    def remove_job(self, number: int) -> None:
        """Where that fails, the job is taken up again by the next run, which finds it done."""
        path = self._jobs / f"{number}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            journal.error("Cannot remove %s: %s", path, error.strerror)

    def next_job(self) -> int:
        """A number that no job has had, as far as is known: where the counter was lost, that is what is unfinished."""
        try:
            last = int(self._counter.read_text())
            if not 0 <= last < _MOST_JOBS:
                raise ValueError("it is out of range")
        except (OSError, ValueError) as error:
            if not isinstance(error, FileNotFoundError):
                jsonfile.set_aside(self._counter, error)
            last = max((record.id for record in self.jobs()), default=0)
        atomicfile.replace(self._counter, str(last + 1).encode(), durable=False)
        return last + 1


def _job(data: dict[str, Any]) -> JobRecord:
    """From JSON; an older acmed wrote less. Raises TypeMismatch or ValueError."""
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    data = _LATER | data
    data.pop("created", None)  # of an older acmed
    _SCHEMA.check(data, _SCHEMA.types["Job"])
    jsonfile.check_short(data, "uid", "reason")
    if not data["id"] < _MOST_JOBS:
        raise ValueError("id is out of range")
    account = data.pop("account", None)
    if account:
        account = AccountRequest(**account | {"contact": tuple(account["contact"])})
    lists = {key: tuple(data[key]) for key in ("identifiers", "contact")}
    presented = tuple(Presented(**one) for one in data["presented"])
    return JobRecord(**data | lists | {"presented": presented}, account=account)


def _names(data: dict[str, Any]) -> set[str]:
    """From JSON. Raises TypeMismatch or ValueError."""
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    _SCHEMA.check(data, _SCHEMA.types["Configured"])
    return set(data["names"])


def _debt(data: dict[str, Any]) -> Owed:
    """From JSON. Raises TypeMismatch or ValueError."""
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    _SCHEMA.check(data, _SCHEMA.types["Owed"])
    return Owed(**data | {"presented": tuple(Presented(**one) for one in data["presented"])})
