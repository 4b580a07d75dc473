# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths as configuration may have them."""

from os.path import normpath

from acmed.config.words import quoted

_LONGEST = 4095  # bytes, PATH_MAX without its NUL


def path_fault(text: str) -> str:
    """What is wrong with a path, or an empty string."""
    if not text.startswith("/"):
        return "it must be an absolute path, beginning with '/'"
    if not text.isprintable() or len(text.encode()) > _LONGEST:
        return "it must be a path of printable characters, at most 4095 bytes"
    if text.startswith("//") or normpath(text) != text:
        return f"it must be written without '..', '.', '//' or a final '/': {quoted(normpath(text).replace('//', '/'))}"
    return ""
