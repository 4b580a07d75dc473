# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where an account's key is, as acmed.toml (key) and keyd.toml (source) say it: the kind of store, ":", and a place."""

import re
from dataclasses import dataclass
from enum import StrEnum

from acmed.config import pkcs11uri
from acmed.config.pathnames import path_fault
from acmed.config.words import listed, quoted

# Nothing that ssh(1) could take for an option, or a shell for more than a word.
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_HOST = r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]"
_REMOTE = re.compile(rf"(?:(?P<user>{_USER})@)?(?P<host>{_HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?")


class Kind(StrEnum):
    """The kinds of key stores; each has a unit, acme-store-KIND.service."""

    FILE = "file"  # PEM, encrypted or not
    GPG = "gpg"  # PEM, encrypted with gpg
    PKCS11 = "pkcs11"  # on a token, by its URI (RFC 7512)
    SSH = "ssh"  # at an acme-keyd or a lacme-accountd of another host
    UNIX = "unix"  # at one behind a socket of this host


# What reads a key, or is started on the other host, unless key-command says something else.
COMMANDS = {Kind.GPG: ("gpg", "--quiet"), Kind.SSH: ("acme-keyd", "--stdio")}


class BadKeySource(ValueError):
    """Not a place of a key; the message says why, beginning with a verb."""


@dataclass(frozen=True)
class KeySource:
    """place: an absolute path for FILE, GPG and UNIX; the whole URI for PKCS11; [USER@]HOST[:PORT] for SSH."""

    kind: Kind
    place: str

    def __str__(self) -> str:
        return self.place if self.kind is Kind.PKCS11 else f"{self.kind}:{self.place}"


@dataclass(frozen=True)
class Destination:
    """Where ssh(1) connects to. user and port: None for its own, acme-ssh and 22."""

    host: str
    user: str | None = None
    port: int | None = None


def parse(text: str) -> KeySource:
    """The place of a key, with its specifiers expanded already. Raises BadKeySource."""
    word, colon, place = text.partition(":")
    if not colon or word not in list(Kind):
        raise BadKeySource(f"is {quoted(text)}; it must begin with {listed(f'{kind}:' for kind in Kind)}")
    kind = Kind(word)
    if kind is Kind.PKCS11:
        try:
            pkcs11uri.parse(text)
        except pkcs11uri.BadUri as error:
            raise BadKeySource(str(error)) from error
        return KeySource(kind, text)
    if kind is Kind.SSH:
        destination(place)
    elif fault := path_fault(place):
        raise BadKeySource(f"is {quoted(text)}; behind '{word}:' {fault}")
    return KeySource(kind, place)


def destination(place: str) -> Destination:
    """The parts of [USER@]HOST[:PORT]. Raises BadKeySource."""
    found = _REMOTE.fullmatch(place)
    if found is None or int(found["port"] or 0) > 65535:
        raise BadKeySource(
            f"is {quoted(f'ssh:{place}')}; it must be ssh:[USER@]HOST[:PORT], such as ssh:acme@signer.example.com"
        )
    return Destination(found["host"].strip("[]"), found["user"], int(found["port"]) if found["port"] else None)
