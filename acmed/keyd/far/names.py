# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which names a client may have certificates for: globs that know labels."""

import re
from dataclasses import dataclass

from acmed.names import Identifier, InvalidName

_GLOB_LABEL = re.compile(r"[a-z0-9_*-]{1,63}")
_ANY_LABEL = r"[^.]+"
_ANY_LABELS = rf"{_ANY_LABEL}(?:\.{_ANY_LABEL})*"


@dataclass(frozen=True)
class Glob:
    """A DNS name in which "*" stands for what may be in one label, and a first label "**" for one or more labels; or
    an IP address.

    A wildcard certificate is for the names that a glob with "*" in its place is for, so that glob allows it.
    """

    text: str
    pattern: re.Pattern[str]
    type: str = "dns"

    def allows(self, identifier: Identifier) -> bool:
        return identifier.type == self.type and self.pattern.fullmatch(identifier.value) is not None

    @classmethod
    def parse(cls, text: str) -> "Glob":
        """Raises InvalidName."""
        if "*" not in text:
            identifier = Identifier.parse(text)
            return cls(text, re.compile(re.escape(identifier.value)), identifier.type)
        first, *others = text.lower().split(".")
        labels = others if first == "**" else [first, *others]
        if not all(_GLOB_LABEL.fullmatch(label) and "**" not in label for label in labels):
            what = "a glob has labels of a-z, 0-9, '-', '_' and '*' (A-labels, xn--…), and '**' as its first one only"
            raise InvalidName(f"{text[:80]!r} cannot be used: {what}")
        parts = [_ANY_LABEL if label == "*" else re.escape(label).replace(r"\*", "[^.]*") for label in labels]
        return cls(text, re.compile(r"\.".join([_ANY_LABELS, *parts] if first == "**" else parts)))


def read(identifier: Identifier) -> Identifier:
    """The identifier as a CA reads it, from one as a client wrote it. Raises InvalidName for what no CA would take."""
    meant = Identifier.parse(identifier.value)
    if meant != Identifier(identifier.type, identifier.value.lower()):
        raise InvalidName(f"{identifier.value[:80]!r} is not how a request has the {identifier.type} name")
    return meant
