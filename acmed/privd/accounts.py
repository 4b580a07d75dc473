# SPDX-License-Identifier: LGPL-2.1-or-later
"""ACME accounts: a sealed key, and acmed.toml.d/account-NAME.toml."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from acmed import journal, pem
from acmed.config import Account, load
from acmed.config.model import DIRECTORIES, KeyType, origin
from acmed.privd import files, keys, toml
from acmed.privd.places import Places
from acmed.privd.refusal import explained, refusal
from acmed.privd.seal import SealingFailed, seal

_URL = re.compile(r"[\x21-\x7e]{1,2000}")
_CONTACT = re.compile(r"mailto:[^\s@,?%<>\"\\:;/]{1,64}@[A-Za-z0-9.-]{1,253}")
_MAX_CONTACTS = 10
_MAX_CA_BYTES = 256 * 1024
_MAX_CA_CERTIFICATES = 500
_MAX_CERTIFICATE_BYTES = 16 * 1024

_DIRECTORY_MODE = 0o755
_HEAD = "# Written by acmed for 'acmectl account add'. Comments are not kept when it is written again.\n"

_Table = dict[str, str | list[str]]


@dataclass(frozen=True)
class Wish:
    """An account as its creator wants it, checked. ca: PEM, None for the system's CAs."""

    name: str
    directory: str
    contact: tuple[str, ...]
    key_type: KeyType
    ca: str | None


def checked(name: str, directory: str, contact: list[str], key_type: str, ca_pem: str | None) -> Wish:
    """Raises InvalidConfiguration. directory is a URL, or a short name of DIRECTORIES."""
    url = DIRECTORIES.get(directory, directory)
    _check_url("directory", url)
    if len(contact) > _MAX_CONTACTS:
        raise _invalid(f"{len(contact)} contacts; allowed are {_MAX_CONTACTS}")
    for one in contact:
        if not _CONTACT.fullmatch(one):
            raise _invalid(f"contact {one!r} must be mailto: and one mail address, such as mailto:admin@example.com")
    if key_type not in list(KeyType):
        raise _invalid(f"key type {key_type!r}; allowed are {', '.join(KeyType)}")
    return Wish(name, url, tuple(contact), KeyType(key_type), None if ca_pem is None else _rebuilt(ca_pem))


def create(places: Places, wish: Wish) -> Account:
    """Seals a new key, unless the account has one, and writes its configuration. Raises InvalidConfiguration,
    KeyUnavailable or OSError; then the configuration is as it was.
    """
    existing = places.configuration().accounts.get(wish.name)
    if existing and existing.directory != wish.directory:
        raise _invalid(f"account {wish.name!r} is there already, for {existing.directory}; take another name")
    path, ca_file = places.account_file(wish.name), places.ca_file(wish.name)
    with files.kept_on_error(path), files.kept_on_error(ca_file):
        if wish.ca is not None:
            files.make_directory(ca_file.parent, _DIRECTORY_MODE)
            files.replace(ca_file, wish.ca.encode(), files.PUBLIC)
        has_key = (places.credentials / wish.name).exists()
        account = _write(places, wish.name, _wished(places, wish, keeps_uri=has_key))
        if not has_key:
            _seal(places, wish)
    if wish.ca is None:
        ca_file.unlink(missing_ok=True)
    return account


def set_uri(places: Places, account: Account, uri: str) -> bool:
    """Remembers the URL that the CA gave to an account; whether that is news. Raises InvalidConfiguration, OSError."""
    _check_url("uri", uri)
    if origin(uri) != account.origin:
        raise _invalid(f"the CA gave account {account.name!r} the URL {uri}, which is not at {account.directory}")
    if account.uri == uri:
        return False
    path = places.account_file(account.name)
    with files.kept_on_error(path):
        _write(places, account.name, _table(path, account.name) | {"uri": uri})
    return True


def _check_url(what: str, url: str) -> None:
    try:
        if not _URL.fullmatch(url):
            raise ValueError
        origin(url)
    except ValueError as error:
        raise _invalid(f"{what} {url!r} is not an https URL without user and password") from error


def _rebuilt(ca_pem: str) -> str:
    try:
        if len(ca_pem) > _MAX_CA_BYTES:
            raise pem.NotCertificates(f"more than {_MAX_CA_BYTES} bytes")
        blocks = pem.certificates(ca_pem, _MAX_CA_CERTIFICATES, _MAX_CERTIFICATE_BYTES)
    except pem.NotCertificates as error:
        raise _invalid(f"the CA file must be certificates (PEM) and nothing else: {error}") from error
    return "".join(map(pem.encode, blocks))


def _wished(places: Places, wish: Wish, keeps_uri: bool) -> _Table:
    """The table with what stays of the one that is there. A new key has no URL at the CA yet."""
    table: _Table = {"directory": wish.directory, "contact": list(wish.contact)}
    if wish.ca is not None:
        table["ca-file"] = str(places.ca_file(wish.name))
    leaves = {"directory", "contact", "ca-file"} | (set() if keeps_uri else {"uri"})
    before = _table(places.account_file(wish.name), wish.name)
    return table | {key: value for key, value in before.items() if key not in leaves}


def _table(path: Path, name: str) -> _Table:
    """What our own file says; empty where there is none. Raises InvalidConfiguration: it is not ours any more."""
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{path}: {error}") from error
    accounts = data.pop("account", None)
    table = accounts.pop(name, None) if isinstance(accounts, dict) else None
    if data or accounts or not isinstance(table, dict):
        raise _invalid(f"{path} has more in it than [account.{name}]; move the rest to another file")
    for key, value in table.items():
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not isinstance(value, str) and not is_list:
            raise _invalid(f"{path}: {key} is neither a string nor a list of strings")
    return table


def _write(places: Places, name: str, table: _Table) -> Account:
    """Writes our file, and sees what the configuration makes of it. Raises InvalidConfiguration, OSError."""
    path = places.account_file(name)
    lines = [
        f"{key} = {toml.strings(value) if isinstance(value, list) else toml.string(value)}\n"
        for key, value in table.items()
    ]
    files.make_directory(path.parent, _DIRECTORY_MODE)
    files.replace(path, f"{_HEAD}[account.{toml.string(name)}]\n{''.join(lines)}".encode(), files.PUBLIC)
    loaded = load(places.etc, places.usr)
    if name not in loaded.configuration.accounts:
        ours = "; ".join(str(problem) for problem in loaded.problems if problem.path == path)
        raise _invalid(ours or f"[account.{name}] has a problem elsewhere; see: acmectl config check")
    return loaded.configuration.accounts[name]


def _seal(places: Places, wish: Wish) -> None:
    try:
        seal(wish.name, keys.to_pem(keys.generate(wish.key_type)), places.credentials / wish.name)
    except SealingFailed as error:
        raise refusal("KeyUnavailable", account=wish.name, reason=str(error)) from error
    except OSError as error:
        raise refusal("KeyUnavailable", account=wish.name, reason=explained(error)) from error
    journal.notice("Made the key of account %s (%s)", wish.name, wish.key_type.value, account=wish.name)


def _invalid(message: str) -> Exception:
    return refusal("InvalidConfiguration", message=message)
