# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether keys are there that the configuration of accounts names (key), and what their stores need for them."""

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from acmed import paths, pem
from acmed.config.keysource import Kind, destination
from acmed.config.load import Loaded
from acmed.config.model import Account, Problem
from acmed.config.plainfile import OTHERS_WRITE, look
from acmed.config.sandbox import home_above
from acmed.config.sealed import how_to_seal
from acmed.config.table import Place
from acmed.trustedsocket import NotTrusted, reached

_SSH_KEYGEN = "/usr/bin/ssh-keygen"
_TIMEOUT = 10.0  # seconds
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_SSH_PORT = 22
_LONGEST_HEAD = 64 * 1024  # bytes; what is encrypted says so in the first lines of a PEM block


def problems(loaded: Loaded, sealed: Path, known_hosts: Path) -> Iterator[Problem]:
    """sealed: the directory of /etc/credstore.encrypted. What may only be needed is a note."""
    for account in loaded.configuration.accounts.values():
        if account.key is None:
            continue
        place = loaded.tables.account[account.name].places["key"]
        match account.key.kind:
            case Kind.FILE:
                yield from _file(place, account, Path(account.key.place), sealed / paths.PASSPHRASE_CREDENTIALS.name)
            case Kind.GPG:
                yield from _plain_file(place, Path(account.key.place), OTHERS_WRITE)
            case Kind.PKCS11:
                yield from _pin(place, account, sealed / paths.PIN_CREDENTIALS.name)
            case Kind.SSH:
                yield from _ssh(place, account, sealed / paths.SSH_KEY_CREDENTIALS.name, known_hosts)
            case Kind.UNIX:
                yield from _socket(place, Path(account.key.place))


def _file(place: Place, account: Account, path: Path, passphrases: Path) -> Iterator[Problem]:
    if home := home_above(path):
        message = f"the key {path} is in {home}, which acme-store-file.service does not see"
        yield place.problem(message, "move it, such as to /etc/acmed")
        return
    found = list(_plain_file(place, path, _OTHERS_READ | OTHERS_WRITE))
    yield from found
    if found or not _needs_passphrase(path):
        return
    if fault := _missing(passphrases / account.name):
        message = f"the key {path} is encrypted, and its passphrase is no credential: {fault}"
        hint = "seal it, or be there when it is asked for (systemd-tty-ask-password-agent):\n"
        hint += _seal("passphrase", account, passphrases)
        yield place.note(message, hint)


def _plain_file(place: Place, path: Path, forbidden: int) -> Iterator[Problem]:
    found = look(place, path, "the key ")
    if isinstance(found, Problem):
        yield found
    elif found.st_mode & forbidden:
        what, mode = ("read or written", "0600") if forbidden & _OTHERS_READ else ("written", "go-w")
        yield place.problem(f"the key {path} may be {what} by others than root", f"chmod {mode} {quote(str(path))}")


def _socket(place: Place, path: Path) -> Iterator[Problem]:
    """It may come and go with who holds the key; but its directories stay."""
    try:
        with reached(path):
            pass
    except NotTrusted as error:
        yield place.problem(f"acme-store-unix.service does not connect to {path}: {error}")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        yield place.note(f"{path} is not checked: {error.strerror}", "check as root")


def _pin(place: Place, account: Account, pins: Path) -> Iterator[Problem]:
    if fault := _missing(pins / account.name):
        message = f"the token of account '{account.name}' gets no PIN: {fault}"
        yield place.note(message, f"where it wants one, seal it:\n{_seal('pin', account, pins)}")


def _ssh(place: Place, account: Account, keys: Path, known_hosts: Path) -> Iterator[Problem]:
    if fault := _missing(keys / account.name):
        message = f"account '{account.name}' has no key for ssh: {fault}"
        hint = f"make one, and seal it:\nssh-keygen -t ed25519 -N '' -f FILE\n{_seal('sshkey', account, keys)}"
        yield place.problem(message, hint)
    if account.key and (fault := _unknown_host(account.key.place, known_hosts)):
        host = destination(account.key.place)
        port = f"-p {host.port} " if host.port else ""
        hint = f"add its key, and see that it is the host's own:\nssh-keyscan {port}{host.host} >>{known_hosts}"
        yield place.problem(fault, hint)


def _unknown_host(where: str, known_hosts: Path) -> str:
    """Why ssh would not believe the other host, or an empty string."""
    host = destination(where)
    name = f"[{host.host}]:{host.port}" if host.port not in (None, _SSH_PORT) else host.host
    if not known_hosts.exists():
        return f"{known_hosts} is not there, so ssh connects to nobody"
    try:
        command = [_SSH_KEYGEN, "-F", name, "-f", str(known_hosts)]
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)
    except FileNotFoundError:
        return f"there is no {_SSH_KEYGEN}: install openssh-client"
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if done.returncode == 0 else f"{known_hosts} has no key of {name}"


def _needs_passphrase(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return pem.is_encrypted(file.read(_LONGEST_HEAD))
    except OSError:
        return False


def _missing(credential: Path) -> str:
    """What is wrong with a credential; nothing where that cannot be seen."""
    try:
        size = credential.stat().st_size
    except FileNotFoundError:
        return f"{credential} is missing"
    except OSError:
        return ""
    return "" if size else f"{credential} is empty"


def _seal(kind: str, account: Account, directory: Path) -> str:
    return how_to_seal(f"{kind}_{account.name}", "FILE", directory / account.name)
