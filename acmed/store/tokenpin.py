# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which PIN a token has refused: it is not tried again, as tokens lock after a few wrong ones.

That is kept in files, so that a store that was idle, or killed, does not use up the tries one by one; and from before
the login, as the token may count a try and never say so.
"""

import fcntl
import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from acmed import atomicfile
from acmed.store.opened import Unavailable

_SALT = 16  # bytes


class PinRefused(Unavailable):
    """The PIN is wrong, or must not be tried."""


class PinMissing(Unavailable):
    """The token wants a PIN, and there is none."""


class NotTried(Unavailable):
    """There was no login, and the token has counted no try."""


@dataclass(frozen=True)
class RefusedPin:
    """The last PIN that a token refused: its salt and its scrypt hash (RFC 7914), in a file that only we may read.

    token: what it is called in errors. lock: who has this file locked may log in, nobody else.
    """

    path: Path
    lock: Path
    token: str

    def check(self, pin: bytes) -> None:
        """Raises PinRefused where it is this PIN, Unavailable where that cannot be known."""
        with self._locked():
            self._check(pin)

    @contextmanager
    def tried(self, pin: bytes) -> Iterator[None]:
        """A login with this PIN, which counts as refused until it ends well, or with NotTried.

        Raises as check().
        """
        with self._locked():
            before = self._check(pin)
            self._keep(_hashed(pin, os.urandom(_SALT)))
            try:
                yield
            except NotTried:
                self._keep(before)
                raise
            self._keep(None)

    def _check(self, pin: bytes) -> bytes | None:
        """What the file has."""
        try:
            known = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        if hmac.compare_digest(known, _hashed(pin, known[:_SALT])):
            raise PinRefused(
                f"the token {self.token} refused this PIN before, and may lock when it is tried again; where the PIN "
                f"is right by now, or the token had not answered, remove {self.path}"
            )
        return known

    def _keep(self, known: bytes | None) -> None:
        try:
            if known is None:
                self.path.unlink(missing_ok=True)
            else:
                atomicfile.replace(self.path, known, durable=False)
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Another process may be at its login with the same PIN, which is not refused by that."""
        try:
            lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _unusable(self, error: OSError) -> Unavailable:
        return Unavailable(f"no PIN is tried, as {self.path} could not have it if it is refused: {error.strerror}")


def refused_pin(directory: Path, token: str, *identity: str) -> RefusedPin:
    """Where it is kept for the token with this identity: its manufacturer, model and serial number."""
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
    return RefusedPin(directory / f"refused-pin-{name}", directory / f"login-{name}", token)


def _hashed(pin: bytes, salt: bytes) -> bytes:
    return salt + hashlib.scrypt(pin, salt=salt, n=2**14, r=8, p=1)
