# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the configuration means; acmed.toml(5) documents it for people."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from acmed.names import Identifier


class KeyType(StrEnum):
    """A key's algorithm and size."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


class Http01Mode(StrEnum):
    """How http-01 tokens (RFC 8555 section 8.3) are reached."""

    STANDALONE = "standalone"  # systemd holds port 80 while a challenge is pending
    PROXIED = "proxied"  # a web server passes requests on to /run/acmed/http01.sock
    WEBROOT = "webroot"  # tokens are files below a web server's document root


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
class Account:
    """[account.NAME]: an account at a CA. directory is a URL; uri is the account's URL there, None before it is known.

    contact has mailto: URLs. proxy is http://HOST:PORT.
    """

    name: str
    directory: str
    contact: tuple[str, ...] = ()
    uri: str | None = None
    ca_file: Path | None = None
    proxy: str | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port of the directory."""
        return origin(self.directory)


@dataclass(frozen=True)
class Service:
    """[service.NAME]: what to do for a service that uses a certificate.

    files maps a kind (privkey, cert, chain, fullchain, combined: key and fullchain in one) to a path to copy it to,
    in which {name} is the certificate's name. group and mode are for the private key, wherever it is.
    """

    name: str
    units: tuple[str, ...] = ()
    action: Action = Action.RELOAD
    group: str | None = None
    mode: int = 0o640
    files: dict[str, str] = field(default_factory=dict)

    def targets(self, certificate: str) -> dict[str, Path]:
        """files, for the certificate of that name."""
        return {kind: Path(target.replace("{name}", certificate)) for kind, target in self.files.items()}


@dataclass(frozen=True)
class Http01:
    """[http01]"""

    mode: Http01Mode = Http01Mode.STANDALONE
    webroot: Path | None = None


@dataclass(frozen=True)
class Certificate:
    """certificates.d/NAME.toml, with the defaults filled in. path is that file."""

    name: str
    path: Path
    identifiers: tuple[Identifier, ...]
    account: str
    key_type: KeyType = KeyType.ECDSA_P256
    reuse_key: bool = False
    services: tuple[str, ...] = ()


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

    def log_level(self, daemon: str) -> str:
        """The level of a daemon (acme-keyd): a name of journal.LEVELS."""
        return self.log_levels.get(daemon, "info")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an https URL. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError(f"{url!r} is not an https URL")
    return parts.scheme, parts.hostname.lower(), parts.port or 443
