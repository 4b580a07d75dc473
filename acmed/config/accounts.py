# SPDX-License-Identifier: LGPL-2.1-or-later
"""[account.NAME]: an account at a CA."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from acmed.config import schema
from acmed.config.identifiers import MAX_NAMES, identifiers
from acmed.config.keysource import COMMANDS, BadKeySource, KeySource, Kind, parse
from acmed.config.limits import deadlines, limits
from acmed.config.model import DIRECTORIES, Account, ExternalBinding, Problem, origin
from acmed.config.pathnames import BadPath, expanded
from acmed.config.section import Section
from acmed.config.table import Table
from acmed.config.values import absolute_path, mail_address
from acmed.config.words import did_you_mean, listed, quoted, title
from acmed.names import Identifier, InvalidName, object_name

# No blanks, control characters, or characters that a URL must escape; urlsplit would drop some of them silently.
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]{1,2000}")

_KEY_ID = re.compile(r"[!-~]{1,255}")  # RFC 8555 section 7.3.4: an ASCII string
_EAB_ALGORITHMS = ("HS256", "HS384", "HS512")

# The percent signs of the other kinds are those of a URI (RFC 7512), or there are none.
_PATHS = (Kind.FILE, Kind.GPG, Kind.UNIX)


def account(name: str, table: Table, problems: list[Problem]) -> Account | None:
    """The account, or None where it has a problem."""
    section = Section(table, title("account", name), schema.ACCOUNT, problems)
    try:
        object_name(name)
    except InvalidName as error:
        section.refuse("", str(error), "rename the table")
    directory = _directory(section)
    uri = _uri(section, directory)
    contact = _contact(section)
    ca_file = absolute_path(section, "ca-file")
    proxy = _proxy(section)
    key = _key(section)
    command = _key_command(section, key)
    external = _external(section)
    rates = limits(section, name, directory)
    seconds = deadlines(section, name)
    authorize = _authorize(section)
    if section.broken or directory is None:
        return None
    path = Path(ca_file) if ca_file else None
    return Account(name, directory, contact, uri, path, proxy, external, rates, seconds, authorize, key, command)


def _directory(section: Section) -> str | None:
    if not section.has("directory"):
        section.missing("directory", 'directory = "letsencrypt-staging"')
        return None
    text = section.text("directory")
    if text is None or text in DIRECTORIES:
        return DIRECTORIES.get(text or "")
    if "/" not in text:
        allowed = f"allowed are {listed(DIRECTORIES)} and https URLs"
        section.wrong("directory", f"is {quoted(text)}; {allowed}", did_you_mean(text, DIRECTORIES))
        return None
    return text if _is_https(section, "directory", text) else None


def _uri(section: Section, directory: str | None) -> str | None:
    text = section.text("uri")
    if text is None or not _is_https(section, "uri", text):
        return None
    if directory is not None and origin(text) != origin(directory):
        what = f"{quoted(text)} is not at the CA of 'directory', {quoted(directory)}"
        section.wrong("uri", what, "remove 'uri' where the account moves to another CA; it is found again")
    return text


def _is_https(section: Section, key: str, text: str) -> bool:
    """Whether it is an https URL; refused if not."""
    try:
        if "@" in text:
            raise ValueError
        origin(text if _URL.fullmatch(text) else "")
    except ValueError:
        section.wrong(key, _bad_url(text, "https://ca.example.com/directory"))
        return False
    return True


def _contact(section: Section) -> tuple[str, ...]:
    """The contacts as mailto URLs."""
    found = []
    for index, text in enumerate(section.texts("contact", '["admin@example.com"]') or ()):
        try:
            found.append(f"mailto:{mail_address(text.removeprefix('mailto:'))}")
        except ValueError:
            allowed = "allowed are mail addresses and mailto: URLs with one address each"
            section.wrong("contact", f"has {quoted(text)}; {allowed}", index=index)
    return tuple(found)


def _proxy(section: Section) -> str | None:
    """http://HOST:PORT, without a final slash."""
    text = section.text("proxy")
    if text is None:
        return None
    try:
        parts = urlsplit(text if _URL.fullmatch(text) else "")
        named = parts.scheme == "http" and parts.hostname and parts.port != 0
        if not named or parts.path.strip("/") or parts.query or parts.fragment or "@" in text:
            raise ValueError
    except ValueError:
        section.wrong("proxy", _bad_url(text, "http://proxy.example.com:3128"))
        return None
    return text.rstrip("/")


def _key(section: Section) -> KeySource | None:
    text = section.text("key")
    if text is None:
        return None
    kind, colon, place = text.partition(":")
    try:
        return parse(f"{kind}:{expanded(place)}" if colon and kind in _PATHS else text)
    except BadPath as fault:
        section.wrong("key", f"is {quoted(text)}; behind '{kind}:' {fault}")
        return None
    except BadKeySource as error:
        section.wrong("key", str(error))
        return None


def _key_command(section: Section, key: KeySource | None) -> tuple[str, ...]:
    """The words of a command; those of its kind of store where it is not given."""
    words = section.texts("key-command", '["gpg", "--quiet"]')
    if words is None:
        return COMMANDS.get(key.kind, ()) if key else ()
    if key and key.kind not in COMMANDS:
        section.wrong("key-command", f"has no meaning for a 'key' that begins with '{key.kind}:'", "remove it")
    elif not section.has("key"):
        section.wrong("key-command", "has no meaning without 'key'", "remove it")
    elif not words or not all(word and word.isprintable() for word in words):
        section.wrong("key-command", "must be a program and its arguments, of printable characters")
    return words


def _external(section: Section) -> ExternalBinding | None:
    """The binding to an account that the CA has given a key id for."""
    key_id = section.text("eab-key-id")
    algorithm = section.choice("eab-algorithm", _EAB_ALGORITHMS)
    if key_id is None:
        if section.has("eab-algorithm") and not section.has("eab-key-id"):
            section.missing("eab-key-id", "eab-key-id = \"kid-1\", because 'eab-algorithm' is given")
        return None
    if not _KEY_ID.fullmatch(key_id):
        section.wrong("eab-key-id", f"is {quoted(key_id)}; it must be the word of ASCII characters that the CA gave")
    return ExternalBinding(key_id, algorithm or ExternalBinding.algorithm)


def _authorize(section: Section) -> tuple[Identifier, ...]:
    found = identifiers(section, "authorize")
    if len(found) > MAX_NAMES:
        section.wrong("authorize", f"has {len(found)} names; allowed are {MAX_NAMES}")
    return found


def _bad_url(text: str, example: str) -> str:
    """What is wrong with a URL. One that may have a password in it is not repeated."""
    shown = "has an '@' in it" if "@" in text else f"is {quoted(text)}"
    return f"{shown}; it must be a URL such as {example}, without user or password"
