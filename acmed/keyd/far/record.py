# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each signature, and each that was not given: to standard error, the journal where there is one, and log-file."""

import datetime
import json
import os
import syslog
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmed import journal
from acmed.keyd import audit
from acmed.keyd.far.request import FarRequest
from acmed.ownfile import own
from acmed.varlink import Call


@dataclass(frozen=True)
class Record:
    """client is [client.NAME], or empty. log_file gets a JSON object per line: nothing in it can forge one.

    Each method raises OSError where log_file cannot be written.
    """

    client: str
    log_file: Path | None

    def signed(self, peer: Call, account: str, url: str, request: FarRequest, rule: str) -> None:
        """To be called when there is a signature, and before it is given away."""
        text = f"Signed {request.operation} for account {account} by {rule}"
        fields = audit.details(peer, account, url, request) | {"rule": rule}
        self._write(syslog.LOG_INFO, text, audit.MESSAGE_SIGNED, fields)

    def refused(self, peer: Call, account: str, url: str, request: FarRequest | None, rule: str) -> None:
        """request is None where it was not understood."""
        brief = audit.brief(rule)
        text = f"Refused to sign {request.operation if request else 'a request'} for account {account}: {brief}"
        fields = audit.details_of_refusal(peer, account, url, request) | {"rule": brief}
        self._write(syslog.LOG_WARNING, text, audit.MESSAGE_FAR_REFUSED, fields)

    def unavailable(self, peer: Call, account: str, url: str, request: FarRequest, rule: str, reason: str) -> None:
        """It was allowed by the rule, and there is no signature: the key could not be used."""
        text = f"Could not sign {request.operation} for account {account}: {reason}"
        fields = audit.details(peer, account, url, request) | {"rule": rule, "reason": reason}
        self._write(syslog.LOG_ERR, text, audit.MESSAGE_UNAVAILABLE, fields)

    def check(self) -> None:
        """Also raises OSError where log_file is not ours alone."""
        if self.log_file is not None:
            os.close(_open(self.log_file))

    def _write(self, priority: int, text: str, message_id: str, fields: dict[str, Any]) -> None:
        fields |= {"client": self.client} if self.client else {}
        if self.log_file is not None:
            _append(self.log_file, {"time": _now(), "message": text, **fields})
        journal.send(priority, text, message_id, fields)
        if "JOURNAL_STREAM" not in os.environ:
            journal.log(priority, "%s", text)


def _append(path: Path, entry: dict[str, object]) -> None:
    descriptor = _open(path)
    try:
        line = json.dumps(entry).encode() + b"\n"
        if os.write(descriptor, line) != len(line):
            raise OSError(0, "a line was written in part only", str(path))
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Anew for each line, so that it may be rotated."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        own(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
