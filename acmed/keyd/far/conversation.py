# SPDX-License-Identifier: LGPL-2.1-or-later
"""lacme's wire protocol (lacme-accountd(1)), from the side of the signer, without any input or output.

Lines end with CR LF. We begin with two, of signer.greeting(). Then each line of the client is a signing input, and gets
its signature as a line of base64url. There are no errors: what is refused is answered by the end of the connection.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

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
_TOO_LONG = f"a line has at most {MAX_LINE} bytes"


class Ended(Exception):
    """The connection is to be closed; the message says why."""


@dataclass(frozen=True)
class Line:
    """A line of a client, with its end. fault: the rule that it breaks, or empty."""

    data: bytes
    fault: str = ""


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

    def receive(self, data: bytes) -> Iterator[Line]:
        """The lines that data brings to their ends, each to be answered before the next one. Raises Ended at the end of
        the stream, where data is empty.
        """
        if not data:
            if self._partial:
                yield Line(b"", "the stream ended inside a line")
            raise Ended("the client has hung up")
        if not self._partial:
            self._since = time.monotonic()
        *ended, rest = data.split(b"\n")
        for end in ended:
            line, self._partial = bytes(self._partial) + end + b"\n", bytearray()
            yield Line(line, _fault(line))
            self._since = time.monotonic()  # its answer may have taken its time
        self._partial += rest
        if len(self._partial) > MAX_LINE:
            yield Line(b"", _TOO_LONG)

    def answer(self, line: Line) -> bytes:
        """To be called in turn; signing may take seconds. Raises Ended."""
        try:
            if line.fault:
                self._signer.refuse(self._peer, line.fault)
                raise Ended(f"refused: {line.fault}")
            return base64url.encode(self._signer.sign(self._peer, line.data[:-2])).encode() + b"\r\n"
        except (Refused, NotUnderstood) as error:
            raise Ended(f"refused: {error}") from error
        except Unavailable as error:
            raise Ended("its key cannot be used") from error
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}"
            journal.error("Nothing is signed, as it cannot be put on record: %s", reason)
            raise Ended("it cannot be put on record") from error


def _fault(line: bytes) -> str:
    if len(line) > MAX_LINE:
        return _TOO_LONG
    return "" if line.endswith(b"\r\n") else "a line ends with CR LF"
