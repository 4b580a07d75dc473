# SPDX-License-Identifier: LGPL-2.1-or-later
"""How messages name keys, values and what was probably meant."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from acmed.config import schema

_KINDS = {
    bool: "a boolean",
    str: "a string",
    int: "an integer",
    float: "a floating-point number",
    list: "an array",
    dict: "a table",
}
_LONGEST = 80
_BARE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9_.:*-]{1,253}")


def kind_of(value: Any) -> str:
    """What TOML calls a value's type."""
    return _KINDS.get(type(value), "a date or time")


def quoted(text: str) -> str:
    """A value, cut where it is long, with control characters escaped."""
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")


def title(*names: str) -> str:
    """A table as a person writes it: [account.prod], [zone."example.com"]."""
    return f"[{'.'.join(map(toml_key, names))}]"


def toml_key(name: str) -> str:
    """A key as it is written in TOML, where a dot outside of quotes means a table in a table."""
    if _BARE.fullmatch(name):
        return name
    return f'"{name}"' if _NAME.fullmatch(name) else quoted(name)


def without_quotes(key: str, value: Any) -> str:
    """The whole of a name that was written without quotes, so that TOML took it for tables in tables."""
    labels = [key]
    while isinstance(value, dict) and value:
        label, value = next(iter(value.items()))
        labels.append(label)
    return ".".join(labels)


def listed(words: Iterable[str], nothing: str = "none") -> str:
    return ", ".join(words) or nothing


def did_you_mean(word: str, possible: Iterable[str]) -> str:
    """A hint at the nearest word, or an empty one where none is near."""
    from difflib import get_close_matches  # noqa: PLC0415  only where there is a mistake: its import takes longer than loading

    near = get_close_matches(word.lower().replace("_", "-")[:_LONGEST], possible, n=1)
    return f"did you mean '{near[0]}'?" if near else ""


def unknown_key(key: str, table: str, known: Sequence[str]) -> tuple[str, str]:
    """Message and hint for a key that is not one. table is its title, as in [defaults], or empty."""
    message = f"unknown key {quoted(key)}" + (f" in {table}" if table else "")
    if hint := did_you_mean(key, known):
        return message, hint
    for elsewhere, keys in schema.TABLES.items():
        if key in keys:
            return message, f"it belongs into {elsewhere or 'the lines above the first [table]'} of acmed.toml"
    if key in schema.CERTIFICATE:
        return message, "it belongs into the file of a certificate, in certificates.d"
    return message, f"known here: {listed(known)}"
