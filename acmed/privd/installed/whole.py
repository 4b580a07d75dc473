# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kept set as far as it is what was installed. Where the kept copy is damaged, what is published stands in for it,
and puts it right.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from acmed import journal, pem
from acmed.privd import files, keys
from acmed.privd.installed import sets
from acmed.privd.keys import Origin
from acmed.privd.places import Places
from acmed.privd.refusal import explained
from acmed.privd.verifier import MAX_CHAIN

_Part = dict[str, bytes]  # files by their kind

# What says that the file is not as it was written; all else is the host's trouble, and may pass.
_DAMAGE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO, errno.EUCLEAN)


def content(places: Places, name: str, one: sets.Set) -> sets.Content | None:
    """The files of a set, if they are those that were installed and fit each other. Raises OSError."""
    key = None if one.origin is Origin.ELSEWHERE else private_key(places, name, one)
    part = _part(places, name, one, _issued)
    if part is None or (key is None and one.origin is not Origin.ELSEWHERE):
        return None
    return sets.Content(key, part["cert"], part["chain"])


def certificate(places: Places, name: str, one: sets.Set) -> bytes | None:
    """The certificate (PEM) of a set without its chain, if it is what was installed. Raises OSError."""
    part = _part(places, name, one, _leaf)
    return part["cert"] if part else None


def private_key(places: Places, name: str, one: sets.Set) -> bytes | None:
    """The private key (PEM) of a set whose key is here, if it is that of its certificate. Raises OSError."""
    part = _part(places, name, one, _key)
    return part["privkey"] if part else None


def opener(path: str, flags: int) -> int:
    """For open(): what is no file of its own is not followed, nor waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _part(places: Places, name: str, one: sets.Set, read: Callable[[Path, sets.Set], _Part]) -> _Part | None:
    master = places.sets(name) / one.id
    try:
        return read(master, one)
    except (OSError, ValueError) as error:
        journal.warning("What is kept of %s is damaged: %s", name, _problem(master, error))
    published = sets.published(places, name) if sets.current_id(places, name) == one.id else None
    if published is None:
        return None
    try:
        part = read(published, one)
    except (OSError, ValueError) as error:
        journal.warning("What is published of %s cannot stand in for it: %s", name, _problem(published, error))
        return None
    _put_right(master, part)
    return part


def _key(directory: Path, one: sets.Set) -> _Part:
    """Raises OSError or ValueError."""
    data = _read(directory / "privkey.pem")
    try:
        keys.check(data, one.public_key)
    except keys.UnusableKey as error:
        raise ValueError(f"privkey.pem: {error}") from error
    return {"privkey": data}


def _leaf(directory: Path, one: sets.Set) -> _Part:
    """Raises OSError or ValueError."""
    cert = _read(directory / "cert.pem")
    try:
        (leaf,) = pem.certificates(cert.decode(), 1, MAX_CHAIN)
    except ValueError as error:
        raise ValueError(f"cert.pem: {error}") from error
    if hashlib.sha256(leaf).hexdigest() != one.fingerprint:
        raise ValueError("cert.pem is not what set.json says")
    return {"cert": cert}


def _issued(directory: Path, one: sets.Set) -> _Part:
    """Raises OSError or ValueError."""
    cert, chain = _leaf(directory, one)["cert"], _read(directory / "chain.pem")
    if hashlib.sha256(cert + chain).hexdigest() != one.chain_sha256:
        raise ValueError("chain.pem is not what set.json says")
    return {"cert": cert, "chain": chain, "fullchain": cert + chain}


def _read(path: Path) -> bytes:
    """Raises OSError, also for one of ours that is out of reach, or ValueError: it is no file of ours."""
    try:
        with open(path, "rb", opener=opener) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise ValueError(f"{path.name} is no file of root's own")
            return file.read()
    except PermissionError as error:  # acme-privd has no CAP_DAC_OVERRIDE
        if path.lstat().st_uid == os.geteuid():
            raise
        raise ValueError(f"{path.name} is no file of root's own") from error


def _problem(directory: Path, error: OSError | ValueError) -> str:
    """What is said of damage. Raises the error where it is none."""
    if not isinstance(error, OSError):
        return f"{directory}: {error}"
    if error.errno not in _DAMAGE:
        raise error
    return explained(error)


def _put_right(master: Path, part: _Part) -> None:
    """What keeps it from being written keeps nobody from using what was found."""
    try:
        for kind, data in part.items():
            files.replace(master / f"{kind}.pem", data, files.PRIVATE)
    except OSError as error:
        journal.warning("It cannot be put right: %s", explained(error))
    else:
        journal.notice("Put %s in %s right from what is published", ", ".join(part), master)
