# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which PIN a token has refused: it is not tried again, as tokens lock after a few wrong ones.

That is kept as long as the host runs, so that a store that was idle, or killed, does not use up the tries one by one.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from acmed.store.opened import Unavailable

_SALT = 16  # bytes


class PinRefused(Unavailable):
    """The PIN is wrong, or must not be tried."""


class PinMissing(Unavailable):
    """The token wants a PIN, and there is none."""


@dataclass(frozen=True)
class RefusedPin:
    """The last PIN that a token refused: its salt and its scrypt hash (RFC 7914), in a file that only we may read."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def is_it(self, pin: bytes) -> bool:
        try:
            known = self.path.read_bytes()
        except FileNotFoundError:
            return False
        return hmac.compare_digest(known, _hashed(pin, known[:_SALT]))

    def keep(self, pin: bytes) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.touch(0o600)
        temporary.write_bytes(_hashed(pin, os.urandom(_SALT)))
        temporary.replace(self.path)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def refused_pin(directory: Path, *identity: str) -> RefusedPin:
    """Where it is kept for the token with this manufacturer, model, serial number and label."""
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
    return RefusedPin(directory / f"refused-pin-{name}")


def _hashed(pin: bytes, salt: bytes) -> bytes:
    return salt + hashlib.scrypt(pin, salt=salt, n=2**14, r=8, p=1)
