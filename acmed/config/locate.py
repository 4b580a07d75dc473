# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds the lines of keys in a TOML text, for error messages: tomllib does not tell them."""

import re
import tomllib
from collections.abc import Iterator

Key = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""
      (?P<string>"{3}(?:[^\\]|\\.)*?"{3,5} | '{3}.*?'{3,5} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*')
    | (?P<skip>[ \t\r]+ | \#[^\n]*)
    | (?P<newline>\n)
    | (?P<bare>[^\s\[\]{}=,."'\#]+)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_Tokens = Iterator[tuple[str, str, int]]


def locate(text: str) -> dict[Key, int]:
    """The line of each table, key and array element of a text that tomllib accepts.

    A key is its whole path: ("account", "prod", "contact", 0) is the first element of contact in [account.prod].
    What is inside an inline table is not listed: it stands on the line of its key.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    tokens = _tokens(text)
    for kind, token, line in tokens:
        if kind == "newline" or token == "]":  # the second one of [[table]]
            continue
        if token == "[":
            table = _key(tokens, "]")
            _note(found, table, 0, line)
        else:
            key = (*table, *_parts(kind, token), *_key(tokens, "="))
            _note(found, key, len(table), line)
            _value(tokens, key, found)
    return found


def _tokens(text: str) -> _Tokens:
    line = 1
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match.group()
        if kind != "skip":
            yield kind, token, line
        line += token.count("\n")


def _key(tokens: _Tokens, end: str) -> Key:
    """The rest of a key, up to the mark that ends it."""
    key: list[str | int] = []
    for kind, token, _ in tokens:
        if token == end:
            break
        key += _parts(kind, token)
    return tuple(key)


def _parts(kind: str, token: str) -> list[str]:
    """A token's share in a key: itself, or nothing for a mark."""
    if kind != "string":
        return [token] if kind == "bare" else []
    try:
        return [tomllib.loads(f"key = {token}")["key"]]
    except tomllib.TOMLDecodeError:
        return [token]


def _note(found: dict[Key, int], key: Key, known: int, line: int) -> None:
    """Remembers where a key is, and the tables that a dotted key or a header makes on its way."""
    for length in range(known + 1, len(key) + 1):
        found.setdefault(key[:length], line)


def _value(tokens: _Tokens, key: Key, found: dict[Key, int]) -> None:
    """Passes over a value; remembers where the elements of an array are."""
    depth = index = 0
    array = False
    for kind, token, line in tokens:
        if kind == "newline":
            if depth == 0:
                return
            continue
        mark = token if kind == "mark" else ""
        if array and depth == 1 and mark not in ("]", ","):
            found.setdefault((*key, index), line)
        if mark in ("[", "{"):
            array = array or (depth == 0 and mark == "[")
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        elif mark == "," and depth == 1:
            index += 1
