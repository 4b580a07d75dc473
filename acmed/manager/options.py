# SPDX-License-Identifier: LGPL-2.1-or-later
"""What callers send: names, and the options of extensible calls. All raise DBusError with what is wrong and what would
be right, before polkit is asked: names end up in the text of a password prompt.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from acmed import hmackey
from acmed.bus import DBusError, Variant
from acmed.bus import errors as bus_errors
from acmed.config import Account
from acmed.config.certificates import MAX_NAMES
from acmed.config.identifiers import covered
from acmed.config.model import DIRECTORIES, AccountKeyType, ChallengeType, ExternalBinding, KeyType, origin
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.known.state import AccountRequest
from acmed.names import Identifier, InvalidName, object_name

_TYPES = {"s": "a string (s)", "as": "strings (as)", "b": "a boolean (b)", "u": "a number (u)"}
_LONGEST_NAME = 1000  # characters, so that a long one costs nothing; a DNS name has 253 at most, in A-labels
_LONGEST_PEM = 256 * 1024
_LONGEST_KEY = 16 * 1024
_LONGEST_LINE = 200  # characters


def read(options: Mapping[str, Variant], allowed: Mapping[str, str]) -> dict[str, Any]:
    """The values of an a{sv}. allowed: the signature for each key."""
    for key, variant in options.items():
        if key not in allowed:
            known = f"the known ones are {_listed(allowed)}" if allowed else "there are none"
            raise invalid(f"There is no option '{key}'; {known}")
        if variant.signature != allowed[key]:
            raise invalid(f"The option '{key}' is {_TYPES[allowed[key]]}, not '{variant.signature}'")
    return {key: variant.value for key, variant in options.items()}


def identifiers(texts: Sequence[str]) -> tuple[Identifier, ...]:
    """Each once, in the order given; none that a wildcard beside it covers."""
    if len(texts) > MAX_NAMES:
        raise invalid(f"{len(texts)} identifiers are more than the {MAX_NAMES} that a certificate can have")
    if any(len(text) > _LONGEST_NAME for text in texts):
        raise Failure(errors.INVALID_NAME, f"An identifier has more than {_LONGEST_NAME} characters")
    try:
        found = tuple(dict.fromkeys(Identifier.parse(text) for text in texts))
    except InvalidName as error:
        raise Failure(errors.INVALID_NAME, str(error)) from error
    for identifier, wildcard in covered(found):
        raise invalid(f"'{identifier}' is a name that '{wildcard}' covers: give one of the two")
    return found


def name(text: str) -> str:
    """Of a certificate or an account."""
    if len(text) > _LONGEST_NAME:
        raise Failure(errors.INVALID_NAME, f"A name has at most 200 characters, not {len(text)}")
    try:
        return object_name(text)
    except InvalidName as error:
        raise Failure(errors.INVALID_NAME, str(error)) from error


def key_type(text: str) -> KeyType:
    try:
        return KeyType(text)
    except ValueError:
        raise invalid(f"There is no key type '{text}'; the known ones are {_listed(KeyType)}") from None


def account_key_type(text: str) -> AccountKeyType:
    try:
        return AccountKeyType(text)
    except ValueError:
        message = f"There is no type '{text}' of an account's key; the known ones are {_listed(AccountKeyType)}"
        raise invalid(message) from None


def challenge(text: str) -> ChallengeType:
    try:
        return ChallengeType(text)
    except ValueError:
        raise invalid(f"There is no challenge '{text}'; the known ones are {_listed(ChallengeType)}") from None


def line(key: str, text: str) -> str:
    """A short text for people or a CA."""
    if len(text) > _LONGEST_LINE or not text.isprintable():
        raise invalid(f"{key}: it is to be at most {_LONGEST_LINE} characters, none of which is a control character")
    return text


def binding(values: Mapping[str, Any]) -> ExternalBinding | None:
    """The options of AddAccount for an external account binding, without the key, which no message has in it."""
    given = values.keys() & {"eab-key-id", "eab-hmac", "eab-algorithm"}
    if not given:
        return None
    if not {"eab-key-id", "eab-hmac"} <= given:
        raise invalid("The options 'eab-key-id' and 'eab-hmac' go together: the CA gives you both")
    algorithm = values.get("eab-algorithm", "HS256")
    if algorithm not in hmackey.ALGORITHMS:
        raise invalid(f"eab-algorithm: '{algorithm}' is none; the known ones are {_listed(hmackey.ALGORITHMS)}")
    try:
        hmackey.parse(values["eab-hmac"])
    except hmackey.UnusableHmacKey as error:
        raise invalid(f"eab-hmac: {error}") from None
    if not values["eab-key-id"]:
        raise invalid("eab-key-id: it is empty")
    return ExternalBinding(line("eab-key-id", values["eab-key-id"]), algorithm)


def account_request(values: Mapping[str, Any], known: Account | None) -> AccountRequest:
    """The options of AddAccount. known: the account of that name, where there is one."""
    if known is None and "directory" not in values:
        raise invalid("The option 'directory' is missing: a URL, or one of " + _listed(DIRECTORIES))
    if known and known.key and not values.keys().isdisjoint({"key-type", "key"}):
        raise invalid(f"The key of account '{known.name}' is {known.key}, so none is made for it, or imported")
    is_there = "key" in values or (known is not None and known.key is not None)
    pem = values.get("ca-pem")
    if pem is not None and (len(pem) > _LONGEST_PEM or "-----BEGIN CERTIFICATE-----" not in pem):
        raise invalid("ca-pem: it is to be certificates in PEM, and no more than 256 KiB")
    directory = _directory(values["directory"]) if "directory" in values else ""
    if known and known.uri and directory not in ("", known.directory):
        message = f"Account '{known.name}' is there already, for {known.directory}: take another name"
        raise Failure(errors.ACCOUNT_EXISTS, message)
    if known and "key" in values and directory == known.directory:
        directory = ""  # who brings a key along wants nothing changed
    return AccountRequest(
        directory,
        contacts(values.get("contact", known.contact if known else ())),
        "" if is_there else account_key_type(values.get("key-type", AccountKeyType.ECDSA_P256)).value,
        pem,
        agreed=values.get("agree-tos", False),
        new=known is None,
    )


def contacts(texts: Iterable[str]) -> tuple[str, ...]:
    """Mail addresses, as the URLs that RFC 8555 section 7.3 wants; other URLs as they are."""
    return tuple(dict.fromkeys(map(_contact, texts)))


def invalid(message: str) -> DBusError:
    return DBusError(bus_errors.INVALID_ARGS, message)


def private_key(values: Mapping[str, Any]) -> str | None:
    """The option of AddAccount for a key that is brought along; no message has any of it."""
    key: str | None = values.get("key")
    if key is None:
        return None
    if "key-type" in values:
        raise invalid("The options 'key' and 'key-type' exclude each other")
    if len(key) > _LONGEST_KEY or not key.lstrip().startswith("{"):
        raise invalid("key: it is to be a private JWK (RFC 7517), and no more than 16 KiB")
    return key


def keys_owner(account: Account) -> DBusError:
    """That a key is not acmed's to change."""
    return DBusError(
        bus_errors.NOT_SUPPORTED,
        f"The key of account '{account.name}' is the administrator's, {account.key}: acmed gives new keys only to "
        "accounts whose key it has made or imported",
    )


def unregistered(account: str) -> Failure:
    return Failure(errors.NO_SUCH_ACCOUNT, f"Account '{account}' is not registered with its CA yet: add it again")


def perhaps_registered(account: str, directory: str) -> Failure:
    """That a CA may have made an account whose URL nobody has."""
    return Failure(
        errors.NO_SUCH_ACCOUNT,
        f"Whether {directory} has made account '{account}' is not known, as its answer was lost: add it again, as it "
        "is, before it is changed or removed",
    )


def unknown_service(wanted: str, known: Iterable[str]) -> DBusError:
    return invalid(f"There is no service '{wanted}'; the known ones are {_listed(sorted(known)) or 'none'}")


def _directory(text: str) -> str:
    """The URL of a CA's directory, from itself or a short name."""
    directory = DIRECTORIES.get(text, text)
    try:
        origin(directory)
    except ValueError as error:
        raise invalid(f"directory: {error}; write one, or one of {_listed(DIRECTORIES)}") from None
    if not directory.isprintable():
        raise invalid("directory: a URL has no control characters")
    return directory


def _contact(text: str) -> str:
    url = f"mailto:{text}" if "@" in text and ":" not in text else text
    if ":" not in url or not url.isascii() or not url.isprintable() or any(char in url for char in ' ,"<>'):
        raise invalid(f"contact: '{text}' is neither a mail address nor a URL")
    return url


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
