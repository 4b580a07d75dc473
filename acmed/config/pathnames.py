# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths as configuration may have them."""

from os.path import normpath

from acmed.config.words import quoted
from acmed.specifiers import UnknownSpecifier, expand_as_root

_LONGEST = 4095  # bytes, PATH_MAX without its NUL


class BadPath(ValueError):
    """Not a path; the message says what it must be."""


def absolute(text: str) -> str:
    """A path as it was written, with what its %-specifiers stand for. Raises BadPath."""
    path = expanded(text)
    if fault := path_fault(path):
        raise BadPath(fault)
    return path


def expanded(text: str) -> str:
    """What a path, or a pattern of paths, is with its %-specifiers replaced. Raises BadPath."""
    try:
        return expand_as_root(text)
    except UnknownSpecifier as error:
        raise BadPath(f"{error}, where %% is a percent sign") from None


def path_fault(text: str) -> str:
    """What is wrong with a path, or an empty string."""
    if not text.startswith("/"):
        return "it must be an absolute path, beginning with '/'"
    if not text.isprintable() or len(text.encode()) > _LONGEST:
        return "it must be a path of printable characters, at most 4095 bytes"
    if text.startswith("//") or normpath(text) != text:
        return f"it must be written without '..', '.', '//' or a final '/': {quoted(normpath(text).replace('//', '/'))}"
    return ""
