# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fields of the journal's entries, which anybody may write who is not journald."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID


def text(entry: Mapping[str, Any], name: str) -> str:
    """A field as text; the first one of several, which only a forger writes."""
    value = entry.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.hex if isinstance(value, UUID) else str(value)
