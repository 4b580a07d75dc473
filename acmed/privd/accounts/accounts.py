# SPDX-License-Identifier: LGPL-2.1-or-later
"""ACME accounts: a sealed key, and acmed.toml.d/account-NAME.toml."""

import re
from dataclasses import dataclass

from acmed import journal, pem
from acmed.config import Account
from acmed.config.model import DIRECTORIES, AccountKeyType, origin
from acmed.privd import files, lookup
from acmed.privd.accounts import accountfile, accountkeys, bindings, seal
from acmed.privd.accounts.accountfile import Table
from acmed.privd.places import Places
from acmed.privd.refusal import refusal

_URL = re.compile(r"[\x21-\x7e]{1,2000}")
_CONTACT = re.compile(r"mailto:[^\s@,?%<>\"\\:;/]{1,64}@[A-Za-z0-9.-]{1,253}")
_MAX_CONTACTS = 10
_MAX_CA_BYTES = 256 * 1024
_MAX_CA_CERTIFICATES = 500
_MAX_CERTIFICATE_BYTES = 16 * 1024

_DIRECTORY_MODE = 0o755
_OF_CA = {"eab-key-id", "eab-algorithm", "uri"}  # of the account's table: nothing to another CA


@dataclass(frozen=True)
class Wish:
    """An account as its creator wants it, checked. directory: None for what the configuration has, with its CA file.
    key_type: of a key that is to be made, None where it is there. ca: PEM, None for the system's CAs.
    """

    name: str
    directory: str | None
    contact: tuple[str, ...]
    key_type: AccountKeyType | None
    ca: str | None


def checked(name: str, directory: str | None, contact: list[str], key_type: str | None, ca_pem: str | None) -> Wish:
    """Raises InvalidConfiguration. directory is a URL, or a short name of DIRECTORIES."""
    ca = None if ca_pem is None else _rebuilt(ca_pem)
    url = None if directory is None else checked_directory(directory)
    kind = None if key_type is None else checked_key_type(key_type)
    return Wish(name, url, checked_contact(contact), kind, ca)


def checked_directory(directory: str) -> str:
    """Its URL. Raises InvalidConfiguration."""
    url = DIRECTORIES.get(directory, directory)
    _check_url("directory", url)
    return url


def checked_contact(contact: list[str]) -> tuple[str, ...]:
    """Raises InvalidConfiguration."""
    if len(contact) > _MAX_CONTACTS:
        raise _invalid(f"{len(contact)} contacts; allowed are {_MAX_CONTACTS}")
    for one in contact:
        if not _CONTACT.fullmatch(one):
            raise _invalid(f"contact {one!r} must be mailto: and one mail address, such as mailto:admin@example.com")
    return tuple(contact)


def checked_key_type(key_type: str) -> AccountKeyType:
    """Raises InvalidConfiguration."""
    if key_type not in list(AccountKeyType):
        raise _invalid(f"key type {key_type!r}; allowed are {', '.join(AccountKeyType)}")
    return AccountKeyType(key_type)


def create(places: Places, wish: Wish) -> Account:
    """Seals a new key, unless the account has one, and writes its configuration. Raises NoSuchAccount,
    InvalidConfiguration, KeyUnavailable or OSError; then the configuration is as it was.
    """
    existing = places.configuration().accounts.get(wish.name)
    if wish.directory is None:
        existing = lookup.account(places.configuration(), wish.name)
    else:
        check_directory(places, wish.name, wish.directory)
    path, ca_file = places.account_file(wish.name), places.ca_file(wish.name)
    with files.kept_on_error(path), files.kept_on_error(ca_file):
        if wish.ca is not None:
            files.make_directory(ca_file.parent, _DIRECTORY_MODE)
            files.replace(ca_file, wish.ca.encode(), files.PUBLIC)
        if existing and existing.key:
            account = _keyed(places, wish, existing)
        else:
            has_key = (places.credentials / wish.name).exists()
            if not has_key and wish.key_type is None:
                raise refusal("KeyUnavailable", account=wish.name, reason="it is not there any more")
            account = accountfile.write(places, wish.name, _wished(places, wish, existing, keeps_uri=has_key))
            if wish.key_type and not has_key:
                _seal_new_key(places, wish.name, wish.key_type)
    if account.ca_file != ca_file:
        ca_file.unlink(missing_ok=True)
    bindings.forget_note(places, wish.name)
    return account


def check_directory(places: Places, name: str, directory: str) -> None:
    """Raises InvalidConfiguration where the account is there for another directory: registered, or by a file that is
    not ours to change.
    """
    existing = places.configuration().accounts.get(name)
    if existing is None or existing.directory == directory:
        return
    way = "take another name"
    if existing.uri is None:
        path = accountfile.place(places, name, "directory")
        if path == places.account_file(name):
            return
        way += f", or change it in {path}"
    raise _invalid(f"account {name!r} is there already, for {existing.directory}; {way}")


def registered(places: Places, name: str) -> Account:
    """An account that the CA knows. Raises NoSuchAccount or InvalidConfiguration."""
    account = lookup.account(places.configuration(), name)
    if account.uri is None:
        raise _invalid(f"account {name!r} is not registered at {account.directory}; run: acmectl account add {name}")
    return account


def check_key_is_ours(account: Account) -> None:
    """Raises InvalidConfiguration where the configuration says where the key is, and so it is not ours to change."""
    if account.key:
        raise _invalid(f"the key of account {account.name!r} is {account.key}, which acmed does not change")


def set_uri(places: Places, account: Account, uri: str) -> bool:
    """Remembers the URL that the CA gave to an account; whether that is news. Raises InvalidConfiguration, OSError."""
    _check_url("uri", uri)
    if origin(uri) != account.origin:
        raise _invalid(f"the CA gave account {account.name!r} the URL {uri}, which is not at {account.directory}")
    if account.uri == uri:
        return False
    accountfile.write(places, account.name, accountfile.read(places, account.name) | {"uri": uri})
    return True


def check_contact_is_ours(places: Places, name: str) -> None:
    """Before the CA is told: what we would write must count. Raises InvalidConfiguration."""
    accountfile.read(places, name)
    path = accountfile.overruling(places, name, "contact")
    if path is not None:
        raise _invalid(f"{path} has the contacts of account {name!r}, which acmed does not change; remove them there")


def set_contact(places: Places, account: Account, contact: tuple[str, ...]) -> None:
    """Remembers the contacts that the CA was given. Raises InvalidConfiguration or OSError."""
    table = accountfile.read(places, account.name) | {"contact": list(contact)}
    accountfile.write(places, account.name, table)


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


def _keyed(places: Places, wish: Wish, existing: Account) -> Account:
    """Writes the configuration of an account whose key is not ours. It is root's own, so what it says already is not
    written again: root would change it there to no effect.
    """
    before = accountfile.read(places, wish.name)
    table = _wished(places, wish, existing, keeps_uri=True)
    said = {"directory": existing.directory, "contact": list(existing.contact)}
    table = {key: value for key, value in table.items() if key in before or value != said.get(key)}
    return existing if table == before else accountfile.write(places, wish.name, table)


def _wished(places: Places, wish: Wish, existing: Account | None, keeps_uri: bool) -> Table:
    """The table with what stays of the one that is there. A new key has no URL at the CA yet."""
    before = accountfile.read(places, wish.name)
    directory = wish.directory or (existing.directory if existing else None)
    table: Table = {"directory": directory, "contact": list(wish.contact)}
    if wish.ca is not None:
        table["ca-file"] = str(places.ca_file(wish.name))
    table |= bindings.noted(places, wish.name, directory or "")
    leaves = {"directory", "contact", *table} | (set() if keeps_uri else {"uri"})
    leaves |= set() if wish.directory is None else {"ca-file"}
    leaves |= _OF_CA if existing and existing.directory != directory else set()
    return table | {key: value for key, value in before.items() if key not in leaves}


def _seal_new_key(places: Places, account: str, key_type: AccountKeyType) -> None:
    key = accountkeys.generate(key_type)
    with seal.errors(account):
        seal.seal(seal.ACCOUNT, account, key, places.credentials / account)
    journal.notice("Made the key of account %s (%s)", account, key_type.value, account=account)


def _invalid(message: str) -> Exception:
    return refusal("InvalidConfiguration", message=message)
