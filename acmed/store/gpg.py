# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys in files that are encrypted with gpg(1), to a key of the user acme-gpg or with a passphrase."""

import asyncio
import os
from pathlib import Path

from acmed import ownfile, paths
from acmed.config import Account
from acmed.keyd.keys import UnusableKey, parse
from acmed.store import decrypt, passphrase
from acmed.store.opened import InProcess, OpenedKey, Unavailable, Waiting

_UNIT = "acme-store-gpg.service"
# How long a caller waits, and how long gpg may take while somebody is asked by its agent (seconds).
_PATIENCE = 8.0
_DEADLINE = 600.0
_KEPT = {"PATH", "HOME", "USER", "LOGNAME", "GNUPGHOME"}  # of our environment


async def open_key(account: Account, credentials: Path) -> OpenedKey:
    """credentials may have passphrase_ACCOUNT. Raises Unavailable; Waiting where gpg takes its time."""
    opening = asyncio.create_task(_decrypted(account, passphrase.sealed(credentials, f"passphrase_{account.name}")))
    try:
        await asyncio.wait([opening], timeout=_PATIENCE)
    except asyncio.CancelledError:
        opening.cancel()
        raise
    if opening.done():
        return opening.result()
    program = account.key_command[0]
    raise Waiting(f"{program} has not decrypted it yet: its agent may be waiting for a passphrase or a card", opening)


async def _decrypted(account: Account, given: bytes | None) -> OpenedKey:
    assert account.key
    path = Path(account.key.place)
    environment = {name: value for name, value in os.environ.items() if name in _KEPT} | {"LC_ALL": "C.UTF-8"}
    try:
        ownfile.check_writers(path)
        async with asyncio.timeout(_DEADLINE):
            clear = await decrypt.decrypt(account.key_command, path, given, environment)
        return InProcess(parse(clear))
    except TimeoutError as error:
        raise Unavailable(f"{account.key_command[0]} has not decrypted it in {_DEADLINE:g} s") from error
    except OSError as error:
        raise Unavailable(error.strerror or str(error)) from error
    except UnusableKey as error:
        raise Unavailable(f"what is encrypted cannot be used: {error}") from error
    except decrypt.Failed as error:
        raise Unavailable(f"{error}; {_advice(account, given)}") from error


def _advice(account: Account, given: bytes | None) -> str:
    sealed = paths.PASSPHRASE_CREDENTIALS / account.name
    if given is not None:
        return f"if the passphrase in {sealed} is wrong, seal the right one there, then systemctl try-restart {_UNIT}"
    return f"if it needs a passphrase, seal that in {sealed} or give it to acme-gpg's agent: acme-keyd(8), KEY STORES"
