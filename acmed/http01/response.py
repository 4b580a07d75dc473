# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes back (RFC 9110): a token's content, or a status without one; the connection is closed after it."""

import time
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """The status codes that are used."""

    OK = "200 OK"
    BAD_REQUEST = "400 Bad Request"
    NOT_FOUND = "404 Not Found"
    METHOD_NOT_ALLOWED = "405 Method Not Allowed"


@dataclass(frozen=True)
class Response:
    """head_only leaves the content out, as HEAD wants it, but not its length."""

    status: Status
    content: bytes = b""
    head_only: bool = False

    def encode(self) -> bytes:
        """As it is sent."""
        lines = [
            f"HTTP/1.1 {self.status.value}",
            time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
            f"Content-Length: {len(self.content)}",
            "Connection: close",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
        ]
        if self.status is Status.OK:
            lines.append("Content-Type: application/octet-stream")
        if self.status is Status.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode() + (b"" if self.head_only else self.content)
