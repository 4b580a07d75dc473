# SPDX-License-Identifier: LGPL-2.1-or-later
"""lacme's wire protocol (lacme-accountd(1)), from the side of the signer, without any input or output.

Lines end with CR LF. We begin with two, of signer.greeting(). Then each line of the client is a signing input, and gets
its signature as a line of base64url. There are no errors: what is refused is answered by the end of the connection.
"""

import time
from collections.abc import Iterator

from acmed import base64url, journal
from acmed.keyd.far.signer import Signer
from acmed.keyd.policy import Refused
from acmed.keyd.request import NotUnderstood
from acmed.store.opened import Unavailable
from acmed.varlink import Call

# More than a CSR of 100 names of 253 characters takes, which is encoded twice; bytes, with CR LF.
MAX_LINE = 64 * 1024
# A client may wait for its CA between two lines, but not within one (seconds).
_IDLE = 900.0
_WITHIN_LINE = 10.0


class Ended(Exception):
    """The connection is to be closed; the message says why."""


class Conversation:
    """One client's connection."""

    def __init__(self, signer: Signer, peer: Call) -> None:
        self._signer = signer
        self._peer = peer
        self._partial = bytearray()
        self._since = time.monotonic()

    def greeting(self) -> bytes:
        return self._signer.greeting()

    def patience(self) -> float:
        """How many seconds to wait for more."""
        return max(0.0, self._since + (_WITHIN_LINE if self._partial else _IDLE) - time.monotonic())

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The answers to the lines that data brings to their ends. Raises Ended; at the end of the stream, data is
        empty.
        """
        if not data:
            raise (
                self._malformed("the stream ended inside a line") if self._partial else Ended("the client has hung up")
            )
        if not self._partial:
            self._since = time.monotonic()
        *ended, rest = data.split(b"\n")
        for end in ended:
            self._extend(end + b"\n")
            line, self._partial = bytes(self._partial), bytearray()
            self._since = time.monotonic()
            yield self._answer(line)
        self._extend(rest)

    def _extend(self, data: bytes) -> None:
        if len(self._partial) + len(data) > MAX_LINE:
            raise self._malformed(f"a line has at most {MAX_LINE} bytes")
        self._partial += data

    def _answer(self, line: bytes) -> bytes:
        if not line.endswith(b"\r\n"):
            raise self._malformed("a line ends with CR LF")
        try:
            return base64url.encode(self._signer.sign(self._peer, line[:-2])).encode() + b"\r\n"
        except (Refused, NotUnderstood) as error:
            raise Ended(f"refused: {error}") from error
        except Unavailable as error:
            journal.error("The key cannot be used: %s", error)
            raise Ended("its key cannot be used") from error
        except OSError as error:
            raise _off_the_record(error) from error

    def _malformed(self, rule: str) -> Ended:
        try:
            self._signer.refuse(self._peer, rule)
        except OSError as error:
            return _off_the_record(error)
        return Ended(f"refused: {rule}")


def _off_the_record(error: OSError) -> Ended:
    journal.error("Nothing is signed, as it cannot be put on record: %s: %s", error.filename, error.strerror)
    return Ended("it cannot be put on record")
