# SPDX-License-Identifier: LGPL-2.1-or-later
"""The URI of a key on a token: pkcs11: (RFC 7512)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from acmed.config.pathnames import path_fault
from acmed.config.words import did_you_mean, listed, quoted

# What tells a library, a slot or a token from others, which all show without a PIN.
PLACE = (
    "token",
    "manufacturer",
    "model",
    "serial",
    "slot-id",
    "slot-description",
    "slot-manufacturer",
    "library-manufacturer",
    "library-description",
    "library-version",
)
_KEY = ("object", "id", "type")
_SECRET = ("pin-value", "pin-source")
_MODULE = ("module-path", "module-name")

_VERSION = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?")
_NUMBER = re.compile(r"[0-9]{1,20}")

# Section 2.3: unreserved and reserved characters that may stand for themselves, in the path and in the query.
_PATH = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})*")
_MODULE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")


class BadUri(ValueError):
    """Not the URI of a private key; the message says why, beginning with a verb. It has no PIN in it."""


@dataclass(frozen=True)
class Pkcs11Uri:
    """module: the library's absolute path, or its name without "lib" and ".so". place: what the token, its slot and the
    library have to be, by the attributes of PLACE. label (CKA_LABEL) and id (CKA_ID): the key's; None for any.
    """

    module: str
    place: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    id: bytes | None = None


def parse(text: str) -> Pkcs11Uri:
    """Raises BadUri.

    An attribute of the path that is not in RFC 7512 is refused, as without it another key might match. One of the query
    selects nothing, and is ignored (section 2.5).
    """
    path, _, query = text.removeprefix("pkcs11:").partition("?")
    told = _attributes(path, ";", _PATH)
    asked = _attributes(query, "&", _QUERY)
    for name in _SECRET:
        if name in asked or name in told:
            raise BadUri(
                f"has '{name}', and no secret belongs into configuration: seal the PIN as "
                "/etc/credstore.encrypted/acmed.pins/ACCOUNT (acme-keyd(8) shows how), and remove it here"
            )
    for name in told:
        if name in _MODULE:
            raise BadUri(f"has '{name}' in front of the '?'; it belongs behind it")
        if name not in PLACE + _KEY:
            hint = did_you_mean(name, PLACE + _KEY)
            raise BadUri(f"has the attribute '{name}', which RFC 7512 does not know" + (f"; {hint}" if hint else ""))
    for name in asked:
        if name in PLACE + _KEY:
            raise BadUri(f"has '{name}' behind the '?'; it belongs in front of it")
    if told.get("type", b"private") != b"private":
        raise BadUri("has a 'type' other than 'private': only a private key signs")
    place = {name: _text(name, told[name]) for name in PLACE if name in told}
    if "slot-id" in place:
        place["slot-id"] = _number(place["slot-id"])
    if "library-version" in place:
        place["library-version"] = _version(place["library-version"])
    label = _text("object", told["object"]) if "object" in told else None
    return Pkcs11Uri(_module(asked), place, label, told.get("id"))


def _number(text: str) -> str:
    """As it is compared: section 2.6."""
    if not _NUMBER.fullmatch(text):
        raise BadUri(f"has the 'slot-id' {quoted(text)}; it must be a number")
    return str(int(text))


def _version(text: str) -> str:
    """As it is compared: M is M.0 (sections 2.3 and 2.6)."""
    found = _VERSION.fullmatch(text)
    if not found:
        raise BadUri(f"has the 'library-version' {quoted(text)}; it must be a version such as 2.6")
    return f"{int(found[1])}.{int(found[2] or 0)}"


def _attributes(text: str, separator: str, allowed: re.Pattern[str]) -> dict[str, bytes]:
    """By their names; values with their percent-encoding undone."""
    found: dict[str, bytes] = {}
    for name, value in _pairs(text, separator):
        if name in found and name in (*PLACE, *_KEY, "module-name", "module-path"):
            raise BadUri(f"has '{name}' twice")
        if not allowed.fullmatch(value):
            raise BadUri(f"has a character in '{name}' that must be percent-encoded, such as %20 for a space")
        found[name] = unquote_to_bytes(value)
    return found


def _pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            # Without its "=" it may be what follows a PIN that was not percent-encoded.
            raise BadUri(f"must be NAME=VALUE between each '{separator}', such as pkcs11:token=acme;object=account")
        yield name, value


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise BadUri(f"has a '{name}' that is not UTF-8") from error
    if not text.isprintable():
        raise BadUri(f"has a '{name}' with characters that cannot be printed")
    return text


def _module(asked: dict[str, bytes]) -> str:
    given = [name for name in ("module-path", "module-name") if name in asked]
    if len(given) != 1:
        raise BadUri(
            f"has {listed(given, 'neither')}; it needs one of 'module-path' and 'module-name', "
            "such as ?module-path=/usr/lib/softhsm/libsofthsm2.so"
        )
    (name,) = given
    text = _text(name, asked[name])
    if name == "module-path":
        if fault := path_fault(text):
            raise BadUri(f"has the 'module-path' {quoted(text)}; {fault}")
    elif not _MODULE_NAME.fullmatch(text) or PurePosixPath(text).suffix == ".so":
        raise BadUri(f"has the 'module-name' {quoted(text)}; it must be a library's name without 'lib' and '.so'")
    return text
