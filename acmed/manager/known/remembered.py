# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed remembers of certificates and accounts. A file that an older acmed wrote lacks some of it; what is not
known there is the default here, and means nothing.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from acmed.manager.known import jsonfile
from acmed.manager.known.installed import Installed
from acmed.varlink.idl import parse

_SCHEMA = parse(
    """
interface org.acmed.Remembered
type Installed (stamp: string, fingerprint: string, serial_number: string, issuer: string,
  identifiers: []string, not_before: int, not_after: int)
type Issuance (fingerprint: string, account: string, key_type: string, profile: string, must_staple: bool,
  common_name: string, key_stamp: string, csr: string, key_usage: string, hash: string, directory: string,
  backdated: int, obtained: int, settled: int)
type Window (fingerprint: string, cert_id: string, start: int, end: int, explanation: string, poll_at: int)
type Checked (fingerprint: string, ask_at: int)
type Told (failed: int, expiring: string, revoked: string)
type Certificate (failures: int, error_name: string, error_message: string, error_time: int, retry_at: int,
  revoked: string, delivered: [string]string, delivery_errors: [string]string, installed: ?Installed, account: string,
  replace: bool, issued: ?Issuance, window: ?Window, checked: ?Checked, files: string, csr: string, told: Told,
  unfinished: string, unfinished_since: int, limited_until: int, other_key: string, key_seen: string, awaits_key: bool,
  compromised: string, error_job: string, unrevoked: string, limited_since: int)
type Account (status: string, terms: string, issuers: []string, issuers_time: int, authorized: []string, expires: int,
  failures: int, error_name: string, error_message: string, error_time: int, retry_at: int, told: int, asked: string)
"""
)


LOST = "lost"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Issuance:
    """What the certificate of that fingerprint was ordered as. key_type: "" where the key is not acmed's. profile,
    common_name: "" for none. key_stamp: of the key that root provides. csr: SHA-256 (hexadecimal) of the one that came
    from elsewhere. key_usage: words with commas between them. directory: the CA's, "" where that is not known.
    backdated: by how many microseconds its notBefore was put back because that was asked for. obtained: when acmed got
    it, 0 where that is not known. settled: until when no window of the CA's renews it, 0 for at once. Those with a
    default were what that says before acmed could do otherwise.
    """

    fingerprint: str
    account: str
    key_type: str
    profile: str
    must_staple: bool
    common_name: str
    key_stamp: str
    csr: str
    key_usage: str = ""
    hash: str = "sha256"
    directory: str = ""
    backdated: int = 0
    obtained: int = 0
    settled: int = 0


@dataclass(frozen=True)
class Window:
    """When the CA wants the certificate of that fingerprint to be renewed (RFC 9773), as it said last: between start
    and end, 0 where it did not say. cert_id: its name there, "" where it has none. poll_at: not to be asked before.
    """

    fingerprint: str
    cert_id: str
    start: int = 0
    end: int = 0
    explanation: str = ""
    poll_at: int = 0


@dataclass(frozen=True)
class Checked:
    """When to ask next whether the certificate of that fingerprint was revoked; 0 where it names nobody to ask."""

    fingerprint: str
    ask_at: int


@dataclass(frozen=True)
class Told:
    """What [notify] was told. failed: when it last heard of failures that go on; 0 for none. expiring, revoked: of
    which certificate (fingerprint) it heard that it is in danger, and that the CA has revoked it, or wants
    it replaced at once.
    """

    failed: int = 0
    expiring: str = ""
    revoked: str = ""


@dataclass(frozen=True)
class Attempts:
    """How they went. failures: those that failed in a row; error_…: what went wrong last; retry_at: when the timer may
    try again.
    """

    failures: int = 0
    error_name: str = ""
    error_message: str = ""
    error_time: int = 0
    retry_at: int = 0

    def waits_until(self, now: int) -> int:
        """When the next attempt may be, after a failure; 0 where nothing is in its way. A clock that was set back does
        not make it longer.
        """
        return self.retry_at if self.error_time <= now < self.retry_at else 0


@dataclass(frozen=True)
class CertificateState(Attempts):
    """Of one certificate. limited_until: until when it waits because the CA has asked for that, or for a limit of
    acmed's own; 0 for nothing. limited_since: when that was.

    revoked: the fingerprint that was revoked; replace: the timer is to order another one; awaits_key: it is to do so
    when there is another key for it. compromised: the fingerprint whose key was said to be compromised when another
    certificate of that key was revoked. delivered: what each service last got (Status.deliveries); a service that has
    not got what is installed is owed it, however that came about. installed: what was read from cert.pem. account: the
    one that got it, as far as there is no issued. files: the stamp of all published files, as acmed knows them to be
    right, "" where it does not, LOST where they are to be ordered again. csr: SHA-256 (hexadecimal) of the CSR that was
    given last. unfinished: the account whose CA was asked to issue and has not said yet how that ended. other_key: the
    certificate (fingerprint) for which acme-privd has found another key in key-file than its own; key_seen: what it has
    called the two that it has held against each other. error_job: the type of the job that the error is of, "" where
    that is not known. unrevoked: the fingerprint that was to be revoked when that failed.
    """

    revoked: str = ""
    delivered: dict[str, str] = field(default_factory=dict)
    delivery_errors: dict[str, str] = field(default_factory=dict)
    installed: Installed | None = None
    account: str = ""
    replace: bool = False
    issued: Issuance | None = None
    window: Window | None = None
    checked: Checked | None = None
    files: str = ""
    csr: str = ""
    told: Told = Told()
    unfinished: str = ""
    unfinished_since: int = 0
    limited_until: int = 0
    other_key: str = ""
    key_seen: str = ""
    awaits_key: bool = False
    compromised: str = ""
    error_job: str = ""
    unrevoked: str = ""
    limited_since: int = 0

    def is_limited(self, now: int) -> bool:
        """A clock that was set back does not make that longer."""
        return self.limited_since <= now < self.limited_until


@dataclass(frozen=True)
class AccountState(Attempts):
    """Of one account. status, terms (the URL of the CA's terms of service): as the CA said last, UNKNOWN where it said
    that it has no such account. issuers: its names in
    DNS, as of issuers_time. authorized: what was validated last without a certificate, until expires. The attempts are
    those to do so. told: when [notify] last heard of them; 0 for never. asked: the directory of a CA that was asked for
    the account and has not told of it, so that it may have made one.
    """

    status: str = ""
    terms: str = ""
    issuers: tuple[str, ...] = ()
    issuers_time: int = 0
    authorized: tuple[str, ...] = ()
    expires: int = 0
    told: int = 0
    asked: str = ""


def certificate(data: dict[str, Any]) -> CertificateState:
    """From JSON. Raises TypeMismatch or ValueError."""
    data = _completed(data, CertificateState())
    if isinstance(data["issued"], dict):
        later = ("key_usage", "hash", "directory", "backdated", "obtained", "settled")
        data["issued"] = {key: getattr(Issuance, key) for key in later} | data["issued"]
    _SCHEMA.check(data, _SCHEMA.types["Certificate"])
    jsonfile.check_short(data, "failures")
    installed, issued, window, checked = (data.pop(key) for key in ("installed", "issued", "window", "checked"))
    told = Told(**data.pop("told"))
    return CertificateState(
        **data,
        installed=Installed(**installed | {"identifiers": tuple(installed["identifiers"])}) if installed else None,
        issued=Issuance(**issued) if issued else None,
        window=Window(**window) if window else None,
        checked=Checked(**checked) if checked else None,
        told=told,
    )


def account(data: dict[str, Any]) -> AccountState:
    """From JSON. Raises TypeMismatch or ValueError."""
    data = _completed(data, AccountState())
    _SCHEMA.check(data, _SCHEMA.types["Account"])
    jsonfile.check_short(data, "failures")
    return AccountState(**data | {key: tuple(data[key]) for key in ("issuers", "authorized")})


def _completed(data: object, defaults: CertificateState | AccountState) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    known = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(defaults).items()}
    return {**known, **data}
