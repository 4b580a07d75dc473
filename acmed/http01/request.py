# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a request asks for (RFC 9112), as far as it can ask for anything here."""

import re
from dataclasses import dataclass

# The end of the header fields. A bare LF counts as a line's end (RFC 9112 section 2.2).
END_OF_HEAD = re.compile(rb"\n\r?\n")

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S+) HTTP/1\.[0-9]\r?\n")
# In origin form, or in absolute form, which a server must accept too (RFC 9112 section 3.2.2). A query is no token.
_TARGET = re.compile(rb"(?:(?i:http)://[^/?#]+)?/\.well-known/acme-challenge/([A-Za-z0-9_-]{16,256})")


class BadRequest(ValueError):
    """This is not HTTP/1."""


@dataclass(frozen=True)
class Request:
    """token is None where the target is anything but /.well-known/acme-challenge/TOKEN."""

    method: str
    token: str | None


def parse(head: bytes) -> Request:
    """The request that starts with head, which begins with the request line; the header fields do not matter here.

    Raises BadRequest.
    """
    line = _REQUEST_LINE.match(head.lstrip(b"\r\n"))
    if not line:
        raise BadRequest
    target = _TARGET.fullmatch(line[2])
    return Request(line[1].decode(), target[1].decode() if target else None)
