# SPDX-License-Identifier: LGPL-2.1-or-later
"""base64url without padding, as all of JOSE and ACME has it (RFC 7515 section 2)."""

import base64
import binascii


class NotBase64Url(ValueError):
    """Not base64url without padding."""


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes behind it. Only the one canonical spelling is taken. Raises NotBase64Url."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise NotBase64Url("not base64url") from error
    if encode(data) != text:
        raise NotBase64Url("not base64url without padding")
    return data
