# SPDX-License-Identifier: LGPL-2.1-or-later
"""keyd.toml, as acme-keyd(8) describes it: keys, and what is signed with them for whom."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from acmed.config.document import Document, Refused, read
from acmed.config.keysource import COMMANDS, BadKeySource, KeySource, Kind, parse
from acmed.config.model import DIRECTORIES, Problem, origin
from acmed.config.pathnames import path_fault
from acmed.config.section import Section
from acmed.config.table import Place, Table
from acmed.config.words import did_you_mean, listed, quoted, title
from acmed.keyd.far.names import Glob
from acmed.keyd.far.policy import ABOUT_THE_ACCOUNT, OPERATIONS, Policy
from acmed.names import InvalidName
from acmed.specifiers import UnknownSpecifier, expand

KEYS = {
    "": ("log-file", "key", "policy", "client"),
    "key": ("source", "key-command", "passphrase-file", "pin-file", "uri"),
    "policy": ("key", "directories", "names", "operations", "signatures", "hide-jwk"),
}
ONLY_KEY = "default"  # the name of [key]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_KINDS = (Kind.FILE, Kind.GPG, Kind.PKCS11)
_ONLY = {"key-command": (Kind.GPG,), "passphrase-file": (Kind.FILE, Kind.GPG), "pin-file": (Kind.PKCS11,)}


@dataclass(frozen=True)
class Source:
    """[key] or [key.NAME]. command: for GPG. uri: the account's URL, None where clients look it up."""

    name: str
    key: KeySource
    command: tuple[str, ...] = COMMANDS[Kind.GPG]
    passphrase_file: Path | None = None
    pin_file: Path | None = None
    uri: str | None = None


@dataclass(frozen=True)
class Settings:
    """clients has the policies by client; that of [policy], and the one without any, is under the empty name."""

    log_file: Path | None = None
    keys: dict[str, Source] = field(default_factory=dict)
    clients: dict[str, Policy] = field(default_factory=lambda: {"": Policy()})


def load(path: Path) -> tuple[Settings, list[Problem]]:
    """The settings in a file; of no use where there are problems. Raises FileNotFoundError."""
    try:
        document = read(path, path.parent, os.geteuid())
    except Refused as refusal:
        return Settings(), [refusal.problem]
    problems: list[Problem] = []
    top = Section(Table.of(document), "", KEYS[""], problems)
    log_file = _path(top, "log-file")
    keys = _keys(top, document, problems)
    clients = _clients(top, document, keys, problems)
    return Settings(log_file, keys, clients), problems


def key_source(text: str, directory: Path | None = None) -> KeySource:
    """Where a key is. A relative path is one in the directory; without that there may be none. Raises BadKeySource."""
    kind, _, place = text.partition(":")
    if kind not in _KINDS:
        raise BadKeySource(f"is {quoted(text)}; it must be file:PATH, gpg:PATH or pkcs11:URI")
    if kind == Kind.PKCS11:  # a % in there is no specifier
        return parse(text)
    try:
        place = expand(place)
    except UnknownSpecifier as error:
        raise BadKeySource(f"is {quoted(text)}: {error}") from error
    if place and directory is not None:
        place = os.path.normpath(directory / place)
    return parse(f"{kind}:{place}")


def _keys(top: Section, document: Document, problems: list[Problem]) -> dict[str, Source]:
    table = top.table("key") or {}
    if not any(isinstance(value, dict) for value in table.values()):
        found = [_key(ONLY_KEY, _section(document, problems, "key"))] if table else []
    else:
        found = [_key(name, _named(top, document, problems, "key", name)) for name in table]
    return {key.name: key for key in found if key is not None}


def _clients(top: Section, document: Document, keys: dict[str, Source], problems: list[Problem]) -> dict[str, Policy]:
    clients = top.table("client") or {}
    if top.table("policy") is not None:
        if clients:
            top.refuse("policy", "there are both [policy] and [client.NAME]", "give each client a table")
        return {"": _policy("", _section(document, problems, "policy"), keys)}
    if clients:
        sections = {name: _named(top, document, problems, "client", name) for name in clients}
        return {name: _policy(name, section, keys) for name, section in sections.items() if section}
    if len(keys) > 1:
        top.refuse("key", "there are several keys, and no [policy] or [client.NAME] that says which one is used")
    return {"": Policy(key=next(iter(keys), ""))}


def _section(document: Document, problems: list[Problem], *key: str) -> Section:
    table = Table(Place(document, key))
    values = document.data
    for name in key:
        values = values[name]
    table.overlay(table.place, values)
    known = KEYS["key" if key[0] == "key" else "policy"]
    return Section(table, title(*key), known, problems)


def _named(top: Section, document: Document, problems: list[Problem], kind: str, name: str) -> Section | None:
    """The section of [key.NAME] or [client.NAME]."""
    if not isinstance(document.data[kind][name], dict):
        top.wrong(kind, f"has {quoted(name)} beside tables", f"write a table, as in {title(kind, 'NAME')}")
        return None
    if not _NAME.fullmatch(name):
        top.wrong(kind, f"has the name {quoted(name)}; use letters, digits, '-', '_' and '.', at most 64")
        return None
    return _section(document, problems, kind, name)


def _key(name: str, section: Section | None) -> Source | None:
    if section is None:
        return None
    text, uri = section.text("source"), section.text("uri")
    key = None
    if text is None and not section.has("source"):
        section.missing("source", 'source = "file:/home/jane/account.key"')
    elif text is not None:
        try:
            key = key_source(text)
        except BadKeySource as error:
            section.wrong("source", str(error))
    if uri is not None and not _is_https(uri):
        section.wrong("uri", f"is {quoted(uri)}; it must be the account's URL, such as https://ca.example.com/acct/1")
    command = _command(section)
    passphrase_file, pin_file = _path(section, "passphrase-file"), _path(section, "pin-file")
    for option, kinds in _ONLY.items():
        if key and section.has(option) and key.kind not in kinds:
            section.wrong(option, f"has no meaning for a 'source' that begins with '{key.kind}:'", "remove it")
    return Source(name, key, command, passphrase_file, pin_file, uri) if key else None


def _command(section: Section) -> tuple[str, ...]:
    words = section.texts("key-command", '["gpg", "--quiet"]')
    if words is None:
        return Source.command
    if not words or not all(word and word.isprintable() for word in words):
        section.wrong("key-command", "must be a program and its arguments, of printable characters")
    return words


def _policy(name: str, section: Section, keys: dict[str, Source]) -> Policy:
    operations = _operations(section)
    hide = section.flag("hide-jwk") or False
    given = Policy(
        name,
        _chosen_key(section, keys),
        _directories(section),
        _names(section),
        operations,
        section.integer("signatures", 1, 10**6) or Policy.signatures,
        hide,
    )
    if hide and (about := [word for word in ABOUT_THE_ACCOUNT if word in operations]):
        section.wrong(
            "hide-jwk", f"cannot go with {listed(about)} in 'operations': they show or need the account's key"
        )
    key = keys.get(given.key)
    if hide and key and key.uri is None:
        section.wrong(
            "hide-jwk", "needs the account's URL: a client without the key cannot look it up", "give its key uri"
        )
    return given


def _chosen_key(section: Section, keys: dict[str, Source]) -> str:
    name = section.text("key")
    if name is None:
        if len(keys) > 1:
            section.missing("key", f'key = "{next(iter(keys))}"')
        return next(iter(keys), "")
    if name not in keys:
        what = f"is {quoted(name)}, which is no usable key; there are {listed(sorted(keys))}"
        section.wrong("key", what, did_you_mean(name, keys))
    return name


def _directories(section: Section) -> tuple[str, ...]:
    found = []
    for index, text in enumerate(section.texts("directories", '["letsencrypt"]') or ()):
        url = DIRECTORIES.get(text, text)
        if not _is_https(url):
            allowed = f"allowed are {listed(DIRECTORIES)} and https URLs"
            section.wrong("directories", f"has {quoted(text)}; {allowed}", did_you_mean(text, DIRECTORIES), index)
        found.append(url)
    return tuple(found) if section.has("directories") else Policy.directories


def _names(section: Section) -> tuple[Glob, ...]:
    found = []
    for index, text in enumerate(section.texts("names", '["www.example.com", "*.example.org"]') or ()):
        try:
            found.append(Glob.parse(text))
        except InvalidName as error:
            section.wrong("names", f"has a name that cannot be used: {error}", index=index)
    return tuple(found)


def _operations(section: Section) -> frozenset[str]:
    words = section.texts("operations", '["order", "revoke"]')
    for index, word in enumerate(words or ()):
        if word not in OPERATIONS:
            what = f"has {quoted(word)}; allowed are {listed(OPERATIONS)}"
            section.wrong("operations", what, did_you_mean(word, OPERATIONS), index)
    return Policy().operations if words is None else frozenset(words)


def _path(section: Section, key: str) -> Path | None:
    text = section.text(key)
    if text is None:
        return None
    try:
        path = expand(text)
        fault = path_fault(path)
    except UnknownSpecifier as error:
        fault = str(error)
    if fault:
        section.wrong(key, f"is {quoted(text)}; {fault}")
        return None
    return Path(path)


def _is_https(url: str) -> bool:
    try:
        origin(url)
    except ValueError:
        return False
    return url.isascii() and url.isprintable() and " " not in url
