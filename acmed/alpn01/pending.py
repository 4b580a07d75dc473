# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pending challenges: acmed writes one file each, named by the server name that the CA will ask for, with the
identifier's value, a space, and the key authorization in it.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from acmed.http01 import tokens
from acmed.http01.tokens import Unreadable
from acmed.names import Identifier

__all__ = ["Pending", "Unreadable", "read"]

# DNS names, and the reverse names of addresses (RFC 8738 section 6).
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")
# RFC 8555 section 8.1: a token, a dot, and the base64url of a SHA-256.
_CONTENT = re.compile(r"(\S{1,253}) ([A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{43})\n?")


@dataclass(frozen=True)
class Pending:
    """A challenge that a CA may ask for."""

    identifier: Identifier
    key_authorization: str


def read(directory: Path, server_name: str) -> Pending | None:
    """The challenge that is pending for a server name, or None. Raises Unreadable where the file is not acmed's."""
    if not _NAME.fullmatch(server_name):
        return None
    content = tokens.read(directory, server_name)
    if content is None:
        return None
    found = _CONTENT.fullmatch(content.decode("ascii", "replace"))
    identifier = _identifier(found[1], server_name) if found else None
    if not found or not identifier:
        raise Unreadable(f"{directory / server_name} does not have that name's identifier and a key authorization")
    return Pending(identifier, found[2])


def _identifier(value: str, server_name: str) -> Identifier | None:
    """What the CA means by the server name, if it is the value's."""
    if value == server_name:
        return Identifier("dns", value)
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return Identifier("ip", value) if address.reverse_pointer == server_name else None
