# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each signature, and each that was not given: to standard error, the journal where there is one, and log-file."""

import datetime
import errno
import fcntl
import json
import os
import syslog
from dataclasses import dataclass, replace
from pathlib import Path

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
        self._write(audit.signed(peer, account, url, request, rule))

    def refused(self, peer: Call, account: str, url: str, request: FarRequest | None, rule: str) -> None:
        """request is None where it was not understood."""
        entry = audit.refused(peer, account, url, request, rule)
        self._write(replace(entry, message_id=audit.MESSAGE_FAR_REFUSED))

    def unavailable(self, peer: Call, account: str, url: str, request: FarRequest, rule: str, reason: str) -> None:
        """It was allowed by the rule, and there is no signature: the key could not be used."""
        entry = audit.unavailable(peer, account, url, request, rule, reason)
        self._write(replace(entry, priority=syslog.LOG_ERR))

    def check(self) -> None:
        """Also raises OSError where log_file is not ours alone."""
        if self.log_file is not None:
            os.close(_open(self.log_file))

    def _write(self, entry: journal.Entry) -> None:
        if self.client:
            entry = replace(entry, fields=entry.fields | {"client": self.client})
        if self.log_file is not None:
            _append(self.log_file, {"time": _now(), "message": entry.text, **entry.fields})
        if "JOURNAL_STREAM" in os.environ:
            entry.record()
            return
        entry.send()
        journal.log(entry.priority, "%s", entry.text)


def _append(path: Path, entry: dict[str, object]) -> None:
    descriptor = _open(path)
    try:
        line = json.dumps(entry).encode() + b"\n"
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        before = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        error.filename = str(path)
        raise
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
