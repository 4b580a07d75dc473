# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arrays of DNS names and IP addresses: what a certificate is for, and what an account authorizes."""

from collections.abc import Collection, Iterator

from acmed.config.section import Section
from acmed.config.words import quoted, toml_key, without_quotes
from acmed.names import Identifier, InvalidName

MAX_NAMES = 100  # what Let's Encrypt and most public CAs allow in one certificate


def identifiers(section: Section, key: str) -> tuple[Identifier, ...]:
    """None twice, and none beside a wildcard that covers it; where something is wrong, those that are right."""
    found: dict[Identifier, int] = {}
    texts = section.texts(key, '["www.example.com"]') or ()
    for index, text in enumerate(texts):
        try:
            identifier = Identifier.parse(text)
        except InvalidName as error:
            section.refuse(key, str(error), index=index)
            continue
        if identifier in found:
            first = texts[found[identifier]]
            same = "twice" if text == first else f"and {quoted(first)}, which are the same name"
            section.wrong(key, f"has {quoted(text)} {same}", index=index)
        else:
            found[identifier] = index
    _refuse_covered(section, key, found)
    return tuple(found)


def identifier_key(inner: Section, key: str) -> str | None:
    """The value of the identifier that a key of a table is; None, with a problem, where it is none."""
    value = inner.value(key)
    if isinstance(value, dict):
        hint = f"write {toml_key(without_quotes(key, value))}, with the quotes: a dot means a table in TOML"
        inner.wrong(key, "must be a string, not a table", hint)
        return None
    try:
        return Identifier.parse(key).value
    except InvalidName as error:
        inner.refuse(key, str(error))
        return None


def covered(found: Collection[Identifier]) -> Iterator[tuple[Identifier, Identifier]]:
    """Each name that a wildcard beside it covers, with that one: Let's Encrypt answers such an order with an error."""
    for identifier in found:
        wildcard = Identifier("dns", "*." + identifier.value.partition(".")[2])
        if identifier.type == "dns" and identifier != wildcard and wildcard in found:
            yield identifier, wildcard


def _refuse_covered(section: Section, key: str, found: dict[Identifier, int]) -> None:
    for identifier, wildcard in covered(found):
        what = f"has {quoted(identifier.value)}, which {quoted(wildcard.value)} covers"
        section.wrong(key, what, "remove one of the two", found[identifier])
