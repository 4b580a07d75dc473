# SPDX-License-Identifier: LGPL-2.1-or-later
"""HMAC keys for external account bindings (RFC 8555 section 7.3.4), as CAs give them."""

import base64
import re

ALGORITHMS = ("HS256", "HS384", "HS512")  # RFC 7518 section 3.2

_BASE64URL = re.compile("[A-Za-z0-9_-]+")

# Bytes. What CAs give has 32 or 64; a much shorter key could be guessed.
_MIN, _MAX = 16, 1024


class UnusableHmacKey(ValueError):
    """Not an HMAC key; the message says why, without any of its bytes."""


def parse(text: str) -> bytes:
    """A key from base64url; padding and white space do not matter. Raises UnusableHmacKey."""
    bare = "".join(text.split()).rstrip("=")
    if not bare:
        raise UnusableHmacKey("it is empty")
    if not _BASE64URL.fullmatch(bare) or len(bare) % 4 == 1:
        raise UnusableHmacKey("it is not base64url (A-Z, a-z, 0-9, '-', '_')")
    key = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    if not _MIN <= len(key) <= _MAX:
        raise UnusableHmacKey(f"it has {len(key)} bytes; an HMAC key has {_MIN} to {_MAX}")
    return key
