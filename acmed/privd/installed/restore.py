# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts back what services read, where somebody removed or changed it, from the kept set."""

import os
import stat
from pathlib import Path

from acmed import journal
from acmed.config import Certificate, Configuration
from acmed.privd import files, keys
from acmed.privd.installed import archive, ownership, sets, whole
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.requests import provided
from acmed.varlink import VarlinkError


def restore(places: Places, configuration: Configuration, certificate: Certificate) -> list[str]:
    """The kinds of the files that were put back, all by one switch. Raises NotIssued: there is no whole set that is
    still the right one; InvalidConfiguration: there is no such group; or OSError.
    """
    name = certificate.name
    access = ownership.key_access(configuration, certificate)
    kept = _kept(places, name)
    data = whole.content(places, name, kept) if kept else None
    if kept is None or data is None or _is_replaced(certificate, kept):
        raise refusal("NotIssued", certificate=name)
    wrong = _wrong(places, name, kept, data, access)
    if wrong:
        sets.publish(places, name, kept, data, access)
        sets.tidy(places, name, kept)
        journal.notice("Put back files of %s that were missing or had been changed: %s", name, ", ".join(wrong))
    return wrong


def _kept(places: Places, name: str) -> sets.Set | None:
    """The set that was published last: where nothing says which, the newest, unless one as new was revoked."""
    identifier = sets.current_id(places, name)
    if identifier is not None:
        return next((one for one in sets.kept(places, name) if one.id == identifier), None)
    newest = max(sets.kept(places, name), key=_installed_at, default=None)
    revoked = max(map(_installed_at, archive.kept(places, name)), default="")
    return newest if newest and _installed_at(newest) > revoked else None


def _installed_at(one: sets.Set) -> str:
    return one.id.partition("-")[0]


def _is_replaced(certificate: Certificate, one: sets.Set) -> bool:
    """Whether root has put another key into key-file. One that cannot be used is told when the next order needs it."""
    if certificate.key_file is None:
        return False
    try:
        return keys.encoded_public_key(provided.read(certificate)) != one.public_key
    except VarlinkError as error:
        journal.warning("%s", error.parameters.get("message", error))
        return False


def _wrong(places: Places, name: str, one: sets.Set, data: sets.Content, access: files.Access) -> list[str]:
    directory = sets.published(places, name)
    if directory is None or directory.is_symlink() or sets.current_id(places, name) != one.id:
        return list(data.kinds)
    switched = (places.certificates / name).lstat().st_ctime_ns
    return [
        kind
        for kind in data.kinds
        if not _says(directory / f"{kind}.pem", data.file(kind), switched)
        or not _is_for_its_readers(kind, directory, access)
    ]


def _is_for_its_readers(kind: str, directory: Path, access: files.Access) -> bool:
    """Whether those may read a file, and only those, who are to. Raises OSError."""
    status = (directory / f"{kind}.pem").lstat()
    return access.is_of(status) if kind == "privkey" else stat.S_IMODE(status.st_mode) == files.PUBLIC.mode


def _says(path: Path, content: bytes, switched: int) -> bool:
    """Whether a file has this content. switched: when it was published, in nanoseconds since the epoch."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return False
        if status.st_uid != os.geteuid():
            # That of another owner is not ours to read: it is as it was while nothing has touched it since.
            return status.st_size == len(content) and status.st_ctime_ns <= switched
        with open(path, "rb", opener=whole.opener) as file:
            return file.read(len(content) + 1) == content
    except OSError:
        return False
