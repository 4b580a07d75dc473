# SPDX-License-Identifier: LGPL-2.1-or-later
"""Anti-replay nonces of one CA (RFC 8555 section 6.5)."""

import re
import time

# base64url; acme-keyd takes no longer one, and no CA that is known gives one.
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")
_KEPT = 64
_LIFETIME = 300.0  # seconds; CAs forget old ones, and a request with one of them would be in vain


class Nonces:
    """Those that came with answers and were not used yet; the newest goes first."""

    def __init__(self) -> None:
        self._nonces: list[tuple[float, str]] = []

    def put(self, value: str | None) -> None:
        """Keeps the value of a Replay-Nonce header field, unless it is none."""
        if value is not None and _NONCE.fullmatch(value):
            self._nonces = [*self._nonces[-_KEPT + 1 :], (time.monotonic(), value)]

    def take(self) -> str | None:
        """The newest, or None."""
        if not self._nonces:
            return None
        born, value = self._nonces.pop()
        if time.monotonic() - born > _LIFETIME:
            self._nonces.clear()  # the others are older
            return None
        return value
