# SPDX-License-Identifier: LGPL-2.1-or-later
"""The secrets that systemd hands over (systemd.exec(5), CREDENTIALS): the kind, "_", and the account's name.

Each kind is a directory of root's, with a file for each account: LoadCredentialEncrypted= of acme-keyd.service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from acmed import hmackey, journal
from acmed.hmackey import UnusableHmacKey
from acmed.keyd.keys import Key, UnusableKey, parse

Secret = TypeVar("Secret")


@dataclass(frozen=True)
class Credentials:
    """By the account's name. next_keys: those that are to follow. bindings: HMAC keys for external account bindings."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    next_keys: Mapping[str, Key] = field(default_factory=dict)
    bindings: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def read(directory: Path) -> Credentials:
    """What can be used; the rest is logged and left out."""
    return Credentials(
        keys=_each(directory, "account", "The key of account %s", parse),
        next_keys=_each(directory, "next", "The next key of account %s", parse),
        bindings=_each(directory, "binding", "The HMAC key of account %s", _hmac_key),
    )


def _each(directory: Path, kind: str, title: str, parsed: Callable[[bytes], Secret]) -> dict[str, Secret]:
    found = {}
    for path in sorted(directory.glob(f"{kind}_*")):
        name = path.name.removeprefix(f"{kind}_")
        try:
            found[name] = parsed(path.read_bytes())
        except (UnusableKey, UnusableHmacKey, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            journal.error(f"{title} cannot be used: %s", name, reason, account=name)
    return found


def _hmac_key(content: bytes) -> bytes:
    return hmackey.parse(content.decode("ascii", errors="replace"))
