# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys in PEM files of root's, encrypted or not."""

import asyncio
from pathlib import Path

from acmed import ownfile, paths, pem
from acmed.config import Account
from acmed.keyd.keys import UnusableKey, WrongPassphrase, parse
from acmed.store import passphrase
from acmed.store.opened import InProcess, OpenedKey, Unavailable, Waiting

_UNIT = "acme-store-file.service"
# What that unit hides; /var/lib/private is where acme-clientd and others have their state.
_HIDDEN = (
    *("/dev", "/home", "/root", "/run", "/tmp", "/var/log", "/var/tmp"),
    *("/etc/credstore", "/etc/credstore.encrypted", "/etc/gshadow", "/etc/shadow", "/etc/ssh", "/sys"),
    *(f"/var/lib/{name}" for name in ("acme", "acme-gpg", "acme-privd", "acmed", "private", "systemd")),
)
_ANSWER = "waits for its passphrase: answer with systemd-tty-ask-password-agent"


async def open_key(account: Account, credentials: Path) -> OpenedKey:
    """credentials may have passphrase_ACCOUNT. Raises Unavailable; Waiting where somebody is asked for it."""
    assert account.key
    path = Path(account.key.place)
    content = _read(path)
    if not pem.is_encrypted(content):
        return _loaded(content, None)
    given = passphrase.sealed(credentials, f"passphrase_{account.name}")
    if given is None:
        raise Waiting(_ANSWER, asyncio.create_task(_unlocked(account, content)))
    try:
        return _loaded(content, given)
    except WrongPassphrase as error:
        sealed = paths.PASSPHRASE_CREDENTIALS / account.name
        then = f"seal the right one there, then systemctl try-restart {_UNIT}"
        raise Unavailable(f"the passphrase in {sealed} does not open it: {then}") from error


async def _unlocked(account: Account, pem: bytes) -> OpenedKey:
    try:
        return _loaded(pem, await passphrase.ask(account.name, str(account.key)))
    except WrongPassphrase as error:
        raise Unavailable("the passphrase that was given does not open it") from error


def _loaded(pem: bytes, given: bytes | None) -> OpenedKey:
    """Raises Unavailable, and WrongPassphrase."""
    try:
        return InProcess(parse(pem, given))
    except WrongPassphrase:
        raise
    except UnusableKey as error:
        raise Unavailable(str(error)) from error


def _read(path: Path) -> bytes:
    try:
        return ownfile.read(path)
    except OSError as error:
        hidden = next((place for place in _HIDDEN if path.is_relative_to(place)), None)
        hint = f"; {_UNIT} does not see {hidden}: move it, such as to /etc/acmed" if hidden else ""
        raise Unavailable(f"{error.strerror}{hint}") from error
