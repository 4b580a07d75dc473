# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a text that is no TOML, for people who write no Python: other words than tomllib's, and a hint."""

import ast
import re
from pathlib import Path

from acmed.config.locate import locate
from acmed.config.model import Problem
from acmed.config.words import quoted, title

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TABLE = re.compile(r"Cannot (?:declare|redefine namespace) (\(.+\))(?: twice)?")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")
_WORD = re.compile(r"[^\s,\]}#]+")  # at a value's place
_CURVED = "“”„‟«»‘’‚"  # noqa: RUF001  quotation marks that TOML does not know
_BOOLEANS = ("yes", "no", "on", "off", "true", "false")

# What tomllib says, what it means, and what to do.
_MEANINGS = {
    "Illegal character '\\n'": (
        "a text does not end in its line",
        'the quote at its end is missing, as in key = "text"',
    ),
    "Unescaped '\\' in a string": ("a '\\' in a text", "write it twice, or the text between single quotes"),
    "Unclosed array": ("a list does not end", "the ']' at its end is missing, or a comma between two values"),
    "Unclosed inline table": ("a table in a line does not end", "the '}' at its end is missing, or a comma"),
    "Unterminated string": ("a text does not end", "the quotes at its end are missing"),
    'Expected "\'"': ("a text does not end", "the quote at its end is missing"),
    "Expected ']' at the end of a table declaration": ("the name of a table does not end", "write it as [name]"),
    "Expected '=' after a key in a key/value pair": ("there is no '=' behind a key", 'write it as key = "text"'),
    "Invalid statement": ("neither a key nor a table", 'write it as key = "text", or as [table]'),
}


def problem(path: Path, text: str, message: str) -> Problem:
    """message: tomllib's about the text."""
    match = _POSITION.search(message)
    if match is None:
        return Problem(path, 0, f"not valid TOML: {message}")
    line = int(match[1]) if match[1] else text.rstrip("\n").count("\n") + 1
    said, lines = message[: match.start()], text.split("\n")
    meaning, hint = _meaning(said, lines[: line - 1], lines[line - 1], int(match[2] or 1) - 1)
    return Problem(path, line, f"not valid TOML: {meaning}", hint)


def _meaning(said: str, above: list[str], line: str, column: int) -> tuple[str, str]:
    """Message and hint. above: the lines above that one; column: where in it, from 0."""
    if twice := _TABLE.fullmatch(said):
        names = ast.literal_eval(twice[1])
        first = locate("\n".join(above)).get(names)
        return f"{title(*names)} is there twice", f"put all of it below the one in line {first}" if first else ""
    if said == "Cannot overwrite a value":
        key = _KEY.match(line)  # of a value in several lines it is not the key's line
        return f"{quoted(key[1]) if key else 'a key'} is there twice", "keep one of them"
    if said == "Invalid value":
        return _no_value(line, column)
    if said == "Expected newline or end of document after a statement":
        return _more_than_a_value(line)
    return _MEANINGS.get(said, (said, ""))


def _no_value(line: str, column: int) -> tuple[str, str]:
    word = _WORD.match(line, column)
    if word is None:
        return "a value is missing", 'such as "text", 1, true or ["text", "text"]'
    if word[0][0] in _CURVED:
        return f"{quoted(word[0])} has quotation marks that TOML does not know", 'use straight ones, as in "text"'
    if word[0].lower() in _BOOLEANS:
        return f"{quoted(word[0])} is no value", "write true or false, or text between quotes"
    return _unquoted(word[0])


def _more_than_a_value(line: str) -> tuple[str, str]:
    """Such as 0640 or 192.0.2.1, which begin as a number does."""
    value = line.partition("=")[2].strip()
    word = _WORD.match(value)
    if word and not word[0].startswith(('"', "'", "[", "{")) and value[word.end() :].strip()[:1] in ("", "#"):
        return _unquoted(word[0])
    return "there is more in the line than a key and its value", "each key has a line of its own"


def _unquoted(word: str) -> tuple[str, str]:
    is_plain = word.isprintable() and not {'"', "'", "\\"} & set(word)
    return f"{quoted(word)} is no value", "text needs quotes" + (f': "{word}"' if is_plain else "")
