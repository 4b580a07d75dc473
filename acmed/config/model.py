# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the configuration means; acmed.toml(5) documents it for people."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from acmed.config.keysource import KeySource
from acmed.names import Identifier


class KeyType(StrEnum):
    """The algorithm and size of a certificate's key."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


class AccountKeyType(StrEnum):
    """The same of an account's key. Which of them a CA takes is its own affair."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"


class Hash(StrEnum):
    """What a CSR is signed with, beside the key."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


# RFC 5280 section 4.2.1.3, in the order of the bits; the words are those of openssl's x509v3_config(5), too.
KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)


# Of the file trust-anchors, in bytes: all CAs that a distribution trusts take 220 KiB.
MAX_ANCHORS = 320 * 1024


class Http01Mode(StrEnum):
    """How http-01 tokens (RFC 8555 section 8.3) are reached."""

    STANDALONE = "standalone"  # systemd holds port 80 while a challenge is pending
    PROXIED = "proxied"  # a web server passes requests on to /run/acmed/http01.sock
    WEBROOT = "webroot"  # tokens are files below a web server's document root


class ChallengeType(StrEnum):
    """How a CA validates an identifier."""

    HTTP_01 = "http-01"  # RFC 8555 section 8.3
    DNS_01 = "dns-01"  # RFC 8555 section 8.4
    TLS_ALPN_01 = "tls-alpn-01"  # RFC 8737
    DNS_ACCOUNT_01 = "dns-account-01"  # draft-ietf-acme-dns-account-label
    DNS_PERSIST_01 = "dns-persist-01"  # draft-ietf-acme-dns-persist
    NONE = "none"  # not at all: the CA has a valid authorization already


class ZoneMethod(StrEnum):
    """How TXT records get into a zone."""

    UPDATE = "update"  # RFC 2136, by acme-dnsd
    LOCAL = "local"  # a JSON file in a directory, and a command that reloads the zone
    HOOK = "hook"  # an executable of /etc/acmed/hooks.d


class Propagation(StrEnum):
    """Whether to wait until a record is seen. A number of seconds stands for itself."""

    CHECK = "check"  # until every authoritative server answers it
    SKIP = "skip"


class Action(StrEnum):
    """What is done to a service's units when it has got a new certificate."""

    RELOAD = "reload"  # ReloadOrRestartUnit
    RESTART = "restart"  # TryRestartUnit


DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file. line is 0 where it is about the whole file. hint says what to do, or is empty.

    A hint of several lines ends in something to paste. A note is only worth knowing: nothing is broken by it.
    """

    path: Path
    line: int
    message: str
    hint: str = ""
    note: bool = False

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        text = f"{where}: {'note: ' if self.note else ''}{self.message}"
        if "\n" in self.hint:
            return "\n    ".join([text, *self.hint.splitlines()])
        return text + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True)
class Rate:
    """At most count in any period of so many seconds; written "300/3h"."""

    count: int
    seconds: int


@dataclass(frozen=True)
class Limits:
    """[account.NAME.limits]: what acmed itself keeps to; None for no limit.

    orders: newOrder requests. certificates: per registered domain. duplicates: per exact set of identifiers. failures:
    failed authorizations per identifier. Of the first three (acmed.manager.counting) an order that the CA took as a
    replacement (RFC 9773 "replaces") counts for none, a renewal of just the same names at the same CA not for
    certificates, and names that are validated without a certificate for orders alone.
    """

    orders: Rate | None = None
    certificates: Rate | None = None
    duplicates: Rate | None = None
    failures: Rate | None = None


HOUR, DAY = 3600, 86400  # seconds

# https://letsencrypt.org/docs/rate-limits/ and https://letsencrypt.org/docs/staging-environment/, 2026-08.
DIRECTORY_LIMITS = {
    DIRECTORIES["letsencrypt"]: Limits(
        orders=Rate(300, 3 * HOUR),
        certificates=Rate(50, 7 * DAY),
        duplicates=Rate(5, 7 * DAY),
        failures=Rate(5, HOUR),
    ),
    DIRECTORIES["letsencrypt-staging"]: Limits(orders=Rate(1500, 3 * HOUR), failures=Rate(200, HOUR)),
}


@dataclass(frozen=True)
class Deadlines:
    """[account.NAME.deadlines], in seconds. request: one request to the CA, with its repetitions."""

    propagation: int = 300
    authorization: int = 300
    finalize: int = 300
    request: int = 60


@dataclass(frozen=True)
class ExternalBinding:
    """RFC 8555 section 7.3.4. algorithm: HS256, HS384 or HS512. The HMAC key is a credential of acme-keyd."""

    key_id: str
    algorithm: str = "HS256"


@dataclass(frozen=True)
class Account:
    """[account.NAME]: an account at a CA. directory is a URL; uri is the account's URL there, None before it is known.

    contact has mailto: URLs. proxy is http://HOST:PORT. authorize: what is validated without a certificate. key: where
    its key is, None for a credential of acme-keyd. key_command: the words of the program that reads it (GPG), or of the
    one that is started on the other host (SSH).
    """

    name: str
    directory: str
    contact: tuple[str, ...] = ()
    uri: str | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    external: ExternalBinding | None = None
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    authorize: tuple[Identifier, ...] = ()
    key: KeySource | None = None
    key_command: tuple[str, ...] = ()

    @cached_property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port of the directory."""
        return origin(self.directory)


@dataclass(frozen=True)
class Service:
    """[service.NAME]: what to do for a service that uses a certificate.

    files maps a kind (privkey, cert, chain, fullchain, combined: key and fullchain in one) to a path to copy it to,
    in which {name} is the certificate's name. group and mode are for the private key, wherever it is. hook: a file name
    in hooks.d, run when all of that is done.
    """

    name: str
    units: tuple[str, ...] = ()
    action: Action = Action.RELOAD
    group: str | None = None
    mode: int = 0o640
    files: dict[str, str] = field(default_factory=dict)
    hook: str | None = None

    def targets(self, certificate: str) -> dict[str, Path]:
        """files, for the certificate of that name."""
        return {kind: Path(target.replace("{name}", certificate)) for kind, target in self.files.items()}


@dataclass(frozen=True)
class Http01:
    """[http01]. webroot may have {fqdn}, {zone} (the name without its first label) and {host} (that label) in it.

    webroots: those of single names, which need no mode = "webroot".
    """

    mode: Http01Mode = Http01Mode.STANDALONE
    webroot: str | None = None
    webroots: dict[str, str] = field(default_factory=dict)

    def directory(self, name: str) -> Path | None:
        """The document root for the identifier of that name; None where its tokens are not files."""
        if name in self.webroots:
            return Path(self.webroots[name])
        if self.mode is not Http01Mode.WEBROOT or self.webroot is None:
            return None
        host, _, zone = name.partition(".")
        return Path(self.webroot.replace("{fqdn}", name).replace("{zone}", zone).replace("{host}", host))


@dataclass(frozen=True)
class Zone:
    """[zone.NAME]: how TXT records get into a DNS zone. name: A-labels, without the final dot.

    server: the primary, None for the MNAME of the zone's SOA. key: the name of a TSIG credential, None where the server
    allows updates by address. ttl and timeout (of one exchange, or of one run of a hook): seconds. propagation: see
    Propagation, or a fixed wait in seconds. directory and reload ({zone} in its arguments) are for LOCAL, hook (a file
    name in hooks.d) for HOOK.
    """

    name: str
    method: ZoneMethod = ZoneMethod.UPDATE
    server: str | None = None
    port: int = 53
    key: str | None = None
    ttl: int = 60
    timeout: int = 10
    propagation: Propagation | int = Propagation.CHECK
    directory: Path | None = None
    reload: tuple[str, ...] = ()
    hook: str | None = None


@dataclass(frozen=True)
class Notify:
    """[notify]: who is told of failures. hook: a file name in hooks.d. mail: an address, by sendmail(8)."""

    hook: str | None = None
    mail: str | None = None


@dataclass(frozen=True)
class Certificate:
    """certificates.d/NAME.toml, with the defaults filled in. path is that file.

    failover: accounts that are tried in this order where account's CA fails. challenges: by the identifier's value, for
    those that do not leave the choice to challenge; that is None where acmed chooses. subject: RFC 4514. renew_before:
    days (int) or the share of the lifetime that is left (float), None for the CA's own or the rule. preferred_chain: an
    issuer's common name or a SHA-256 (hexadecimal). validity_days: the lifetime to ask for. backdate_hours: how long
    before its order it is to be valid already. key_file: a key that root provides. csr: the CSR comes from elsewhere
    (OrderCSR), and its key never here. files: copies of its own, by kind as a service's; owner, group and mode are
    theirs, and the private key's, before what services say; None: not said. key_usage: words of KEY_USAGES in their
    order, none for no such extension. trust_anchors: a file (PEM); the chain has to lead to one of the certificates in
    it.
    """

    name: str
    path: Path
    identifiers: tuple[Identifier, ...]
    account: str
    key_type: KeyType = KeyType.ECDSA_P256
    reuse_key: bool = False
    services: tuple[str, ...] = ()
    failover: tuple[str, ...] = ()
    challenge: ChallengeType | None = None
    challenges: dict[str, ChallengeType] = field(default_factory=dict)
    preflight: bool = True
    profile: str | None = None
    must_staple: bool = False
    common_name: str | None = None
    subject: str | None = None
    renew_before: int | float | None = None
    preferred_chain: str | None = None
    validity_days: int | None = None
    backdate_hours: int | None = None
    key_file: Path | None = None
    csr: bool = False
    files: dict[str, Path] = field(default_factory=dict)
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    key_usage: tuple[str, ...] = ()
    hash: Hash = Hash.SHA256
    trust_anchors: Path | None = None

    @property
    def accounts(self) -> tuple[str, ...]:
        """In the order in which they are tried."""
        return (self.account, *self.failover)


@dataclass(frozen=True)
class Configuration:
    """All of it. A certificate whose file is broken is not among certificates, but in broken, by its name."""

    default_account: str | None = None
    firewall: bool = True  # firewall = "auto"; False for "off"
    log_levels: dict[str, str] = field(default_factory=dict)
    http01: Http01 = Http01()
    accounts: dict[str, Account] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    broken: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    zones: dict[str, Zone] = field(default_factory=dict)
    notify: Notify = Notify()

    def zone_above(self, name: str) -> Zone | None:
        """The configured zone that a DNS name (without the final dot) is in: the longest one."""
        labels = name.split(".")
        for start in range(len(labels)):
            if zone := self.zones.get(".".join(labels[start:])):
                return zone
        return None

    def log_level(self, daemon: str) -> str:
        """The level of a daemon (acme-keyd): a name of journal.LEVELS."""
        return self.log_levels.get(daemon, "info")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an https URL. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError(f"{url!r} is not an https URL")
    return parts.scheme, parts.hostname.lower(), parts.port or 443
