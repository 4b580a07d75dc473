# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `acmectl config check` looks at beyond the files of the configuration: groups, keys, directories, the unit."""

import grp
import stat
from pathlib import Path
from shlex import quote

from acmed import paths
from acmed.config import delivery
from acmed.config.load import Loaded
from acmed.config.model import DIRECTORIES, Account, Http01Mode, Problem
from acmed.config.sandbox import read_write_paths
from acmed.config.words import listed


def check(loaded: Loaded, credentials: Path = paths.ACCOUNT_CREDENTIALS) -> tuple[Problem, ...]:
    """What is wrong on this host, besides loaded.problems. What the caller may not see becomes a note.

    May ask systemd, for at most 10 seconds; changes nothing, and opens no key.
    """
    return (
        *_webroot(loaded),
        *_ca_files(loaded),
        *_keys(loaded, credentials),
        *_groups(loaded),
        *delivery.hidden(loaded),
        *delivery.files(loaded, read_write_paths()),
        *_wildcards(loaded),
    )


def _webroot(loaded: Loaded) -> list[Problem]:
    http01 = loaded.configuration.http01
    if http01.webroot is None:
        return []
    place = loaded.tables.plain["http01"].places["webroot"]
    if http01.mode is not Http01Mode.WEBROOT:
        message = f"'webroot' has no effect: the mode of [http01] is '{http01.mode}'"
        return [Problem(place.path, place.line, message, note=True)]
    try:
        is_directory = stat.S_ISDIR(http01.webroot.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return [place.problem(f"the directory {http01.webroot} is not there", "it is the web server's document root")]
    except OSError as error:
        message = f"{http01.webroot} is not checked: {error.strerror}"
        return [Problem(place.path, place.line, message, "check as root", note=True)]
    return [] if is_directory else [place.problem(f"{http01.webroot} is not a directory")]


def _ca_files(loaded: Loaded) -> list[Problem]:
    problems = []
    for account in loaded.configuration.accounts.values():
        if account.ca_file is not None and (fault := _ca_fault(account.ca_file)):
            place = loaded.tables.account[account.name].places["ca-file"]
            problems.append(place.problem(f"{account.ca_file} {fault}"))
    return problems


def _ca_fault(path: Path) -> str:
    """Why the file cannot be used to authenticate a CA, or an empty string."""
    import ssl  # noqa: PLC0415  slow to load, and few accounts have such a file

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "is not a plain file"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=path.read_bytes().decode("ascii", "ignore"))
    except ssl.SSLError:
        return "has no certificates in PEM format that can be read"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:
        return "has no certificates in PEM format in it"
    if not context.cert_store_stats()["x509"]:
        return "has no certificates in PEM format in it"
    return (
        ""
        if status.st_mode & stat.S_IROTH
        else "must be readable by all users (chmod a+r): acme-clientd has a user of its own"
    )


def _keys(loaded: Loaded, credentials: Path) -> list[Problem]:
    """Accounts without a sealed key."""
    try:
        sealed = {path.name: path.stat().st_size for path in credentials.iterdir()}
    except FileNotFoundError:
        sealed = {}
    except OSError as error:
        if not loaded.configuration.accounts:
            return []
        message = f"whether each account has a key is not checked: {error.strerror}"
        return [Problem(credentials, 0, message, "check as root", note=True)]
    problems = []
    for account in loaded.configuration.accounts.values():
        place = loaded.tables.account[account.name].place
        path = credentials / account.name
        if account.name not in sealed:
            problems.append(
                place.problem(f"account '{account.name}' has no key: {path} is missing", _seal(account, path))
            )
        elif not sealed[account.name]:
            problems.append(
                place.problem(f"account '{account.name}' has no key: {path} is empty", _seal(account, path))
            )
    return problems


def _seal(account: Account, path: Path) -> str:
    """How a key comes there: a new one, or one that the administrator has."""
    short = {url: name for name, url in DIRECTORIES.items()}
    contact = "".join(f" --contact {quote(url.removeprefix('mailto:'))}" for url in account.contact)
    ca_file = f" --ca-file {quote(str(account.ca_file))}" if account.ca_file else ""
    return (
        "make an account with a new key, or seal the key that you have (PKCS#8 in PEM format):\n"
        f"acmectl account add {account.name} --directory {quote(short.get(account.directory, account.directory))}"
        f"{contact}{ca_file} --agree-tos\n"
        f"systemd-creds encrypt --name=account_{account.name} KEY.pem {quote(str(path))}"
    )


def _groups(loaded: Loaded) -> list[Problem]:
    """Groups of used services that this host does not have."""
    problems = []
    used = {name for certificate in loaded.configuration.certificates.values() for name in certificate.services}
    for service in (loaded.configuration.services[name] for name in sorted(used)):
        if service.group is None:
            continue
        try:
            grp.getgrnam(service.group)
        except KeyError:
            place = loaded.tables.service[service.name].places["group"]
            users = [c.name for c in loaded.configuration.certificates.values() if service.name in c.services]
            message = f"there is no group '{service.group}' here, and {listed(users)} would give it the private key"
            hint = f"install what makes the group, or remove '{service.name}' from their 'services'"
            problems.append(place.problem(message, hint))
    return problems


def _wildcards(loaded: Loaded) -> list[Problem]:
    """Wildcards: CAs validate them by dns-01 alone (Baseline Requirements, 3.2.2.4.19), and there is http-01 only."""
    return [
        loaded.tables.certificate[certificate.name]
        .places["names"]
        .problem(f"'{identifier}' is a wildcard, which cannot be validated by http-01", "list the names one by one")
        for certificate in loaded.configuration.certificates.values()
        for identifier in certificate.identifiers
        if identifier.value.startswith("*.")
    ]
