# SPDX-License-Identifier: LGPL-2.1-or-later
"""Permits: what root asked for. Kept in one file in the runtime directory, which outlives the daemon but not a boot."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmed import atomicfile, journal
from acmed.names import Identifier

# A permit is for one operation; a CA that rejects nonces (badNonce, RFC 8555 section 6.5) makes us sign it again.
MAX_SIGNATURES = 128


@dataclass
class Permit:
    """subject is what a newer permit replaces: the certificate's name, its SHA-256, or the kind.

    expires is in seconds of CLOCK_BOOTTIME. used counts the signatures, by operation. sealed is the SHA-256 of the
    URL and payload that a one-shot permit was used for. profile, not_before, not_after and replaces are a newOrder
    request's.
    """

    kind: str
    account: str
    subject: str
    expires: float
    identifiers: list[list[str]] = field(default_factory=list)
    csr_sha256: str = ""
    contact: list[str] = field(default_factory=list)
    reason: int = 0
    used: dict[str, int] = field(default_factory=dict)
    sealed: str = ""
    profile: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    replaces: str | None = None

    def covers(self, identifiers: frozenset[Identifier]) -> bool:
        """Whether it is for exactly these."""
        return frozenset(Identifier(kind, value) for kind, value in self.identifiers) == identifiers

    def has(self, identifier: Identifier) -> bool:
        """Whether it is for this one too."""
        return [identifier.type, identifier.value] in self.identifiers


class Permits:
    """All permits that have not expired."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._permits = _read(path)

    def add(self, permit: Permit) -> None:
        """Adds a permit in place of the one of the same kind, account and subject."""
        self.drop(permit.kind, permit.account, permit.subject)
        self._permits.append(permit)
        self._write()

    def drop(self, kind: str, account: str, subject: str) -> None:
        """Ends a permit; not an error where there is none. Where that cannot be written, as there is no space, it ends
        with all others when the daemon does, rather than that it comes back.
        """
        kept = [p for p in self._permits if (p.kind, p.account, p.subject) != (kind, account, subject)]
        if len(kept) != len(self._permits):
            self._permits = kept
            try:
                self._write()
            except OSError:
                self._path.unlink(missing_ok=True)
                raise

    def of(self, kind: str, account: str) -> list[Permit]:
        """The permits of a kind that an account has now."""
        now = clock()
        self._permits = [permit for permit in self._permits if permit.expires > now]
        return [permit for permit in self._permits if (permit.kind, permit.account) == (kind, account)]

    def use(self, permit: Permit, operation: str, seal: str | None = None) -> bool:
        """Counts a signature. False when there were too many, or when a one-shot permit (seal) was for another."""
        if permit.used.get(operation, 0) >= MAX_SIGNATURES:
            return False
        if seal is not None:
            if permit.sealed not in ("", seal):
                return False
            permit.sealed = seal
        permit.used[operation] = permit.used.get(operation, 0) + 1
        self._write()
        return True

    def _write(self) -> None:
        content = json.dumps([vars(permit) for permit in self._permits]).encode()
        atomicfile.replace(self._path, content, durable=False)


def clock() -> float:
    """Seconds of CLOCK_BOOTTIME: setting the clock ends no permit and prolongs none."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read(path: Path) -> list[Permit]:
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_bytes())
        return [Permit(**entry) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        journal.error("The permits in %s cannot be read, so there are none: %s", path, error)
        return []
