# SPDX-License-Identifier: LGPL-2.1-or-later
"""The account's key, from where its user has it: who is at the terminal may be asked."""

import getpass
import os
from contextlib import suppress
from pathlib import Path

from acmed import ownfile, pem
from acmed.config.keysource import Kind
from acmed.keyd.far.settings import Source
from acmed.keyd.keys import LocalKey, UnusableKey, parse
from acmed.specifiers import state_directory


class CannotOpen(Exception):
    """The message says why, and what to do."""


def open_key(source: Source) -> LocalKey:
    """Raises CannotOpen."""
    try:
        if source.key.kind is Kind.FILE:
            return _file(Path(source.key.place), _secret(source.passphrase_file))
        if source.key.kind is Kind.GPG:
            return _gpg(Path(source.key.place), source.command, _secret(source.passphrase_file))
        return _token(source.key.place, _secret(source.pin_file))
    except OSError as error:
        raise CannotOpen(f"{error.filename}: {error.strerror}") from error
    except UnusableKey as error:
        raise CannotOpen(f"{source.key.place} cannot be used: {error}") from error


def _file(path: Path, passphrase: bytes | None) -> LocalKey:
    content = ownfile.read(path)
    if not pem.is_encrypted(content):
        return parse(content)
    return parse(content, _asked("passphrase", str(path), "passphrase-file") if passphrase is None else passphrase)


def _gpg(path: Path, command: tuple[str, ...], passphrase: bytes | None) -> LocalKey:
    """With the user's own agent, which asks at the terminal that we have."""
    import asyncio  # noqa: PLC0415  seldom needed

    from acmed.store.decrypt import Failed, decrypt  # noqa: PLC0415

    ownfile.check_writers(path)
    environment = dict(os.environ)
    if terminal := next((os.ttyname(number) for number in (0, 2, 1) if os.isatty(number)), None):
        environment.setdefault("GPG_TTY", terminal)
    try:
        return parse(asyncio.run(decrypt(command, path, passphrase, environment)))
    except Failed as error:
        raise CannotOpen(f"{path} cannot be used: {error}") from error


def _token(uri: str, pin: bytes | None) -> LocalKey:
    from acmed.store.opened import Unavailable  # noqa: PLC0415  seldom needed
    from acmed.store.pkcs11 import TokenKey  # noqa: PLC0415
    from acmed.store.tokenpin import PinMissing  # noqa: PLC0415

    directory = state_directory()  # as the next connection is a process of its own, with the same PIN
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return TokenKey(uri, pin, directory)
    except PinMissing:
        return _token(uri, _asked("PIN", uri, "pin-file"))
    except Unavailable as error:
        raise CannotOpen(f"{uri} cannot be used: {error}") from error


def _secret(path: Path | None) -> bytes | None:
    """What a passphrase-file or a pin-file has."""
    return None if path is None else ownfile.read(path).removesuffix(b"\n").removesuffix(b"\r")


def _asked(what: str, of: str, option: str) -> bytes:
    """What the user types at the terminal. Raises CannotOpen."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:  # getpass would take standard input, which may be a client's
        hint = f"there is no terminal to ask for it, so give {option}"
        raise CannotOpen(f"{of} needs a {what}: {hint}") from error
    with suppress(EOFError):
        return os.fsencode(getpass.getpass(f"The {what} of {of}: "))
    raise CannotOpen(f"{of} needs a {what}, and none was given")
