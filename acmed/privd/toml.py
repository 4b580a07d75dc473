# SPDX-License-Identifier: LGPL-2.1-or-later
"""The little of TOML (https://toml.io/en/v1.0.0) that acme-privd writes."""

from collections.abc import Iterable


def string(text: str) -> str:
    """A basic string: all but printable characters escaped, so that no value can end it."""
    return '"' + "".join(map(_character, text)) + '"'


def strings(texts: Iterable[str]) -> str:
    """An array of strings, one on each line where there are more than one."""
    quoted = [string(text) for text in texts]
    if len(quoted) < 2:
        return f"[{''.join(quoted)}]"
    return "[\n" + "".join(f"    {text},\n" for text in quoted) + "]"


def _character(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    return f"\\U{ord(char):08x}"
