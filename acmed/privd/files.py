# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that are there whole or not at all, also after a power failure."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from acmed import opath

_TEMPORARY = ".acmed-new"
_BEFORE = ".acmed-before"


@dataclass(frozen=True)
class Access:
    """A file's group and owner (numeric), and mode."""

    group: int = -1  # unchanged: ours
    mode: int = 0o600
    owner: int = -1  # unchanged: root, who is us

    def is_of(self, status: os.stat_result) -> bool:
        """Whether a file has it."""
        group = os.getegid() if self.group == -1 else self.group
        owner = os.geteuid() if self.owner == -1 else self.owner
        return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (owner, group, self.mode)


PRIVATE = Access()
PUBLIC = Access(mode=0o644)


def create(path: Path, content: bytes, access: Access) -> None:
    """Writes a new file to the disk. Raises OSError, FileExistsError where there is one.

    Nobody else can open it before it has its group and mode; UMask= has no say in them. The owner comes last, as the
    mode is only the owner's to change; so nobody has more than in the end at any time.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with _named(path), os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if access.group != -1:
            os.fchown(descriptor, -1, access.group)
        os.fchmod(descriptor, access.mode)
        if access.owner != -1:
            os.fchown(descriptor, access.owner, -1)
        os.fsync(descriptor)


def replace(path: Path, content: bytes, access: Access) -> None:
    """Puts a file in the place of one that may be there. Raises OSError; then the old one is still there."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    temporary.unlink(missing_ok=True)
    try:
        create(temporary, content, access)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """Removes a file; not an error where there is none."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def make_directory(path: Path, mode: int) -> None:
    """Makes a directory and those above it, unless they are there. Raises OSError."""
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Writes the names in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _named(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Says in an OSError which file it is about, where the kernel was given its descriptor alone, as of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def reached(directory: Path) -> Iterator[Path]:
    """A path by which a directory stays the same one inside, whoever moves it. Raises OSError.

    On the way to it only root's symbolic links are followed: those of a service, where it may write, could lead to
    another certificate's files.
    """
    try:
        descriptor = opath.walk(directory, _own_links_only)
    except OSError as error:
        error.filename = str(directory)
        raise
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _own_links_only(_: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
        message = f"user {status.st_uid} made a symbolic link on the way, which is not followed"
        raise OSError(errno.ELOOP, message)


def remove_tree(path: Path) -> None:
    """Removes a directory with all in it; not an error where there is none."""
    if path.is_symlink() or path.exists():
        shutil.rmtree(path)


@contextmanager
def kept_on_error(path: Path) -> Iterator[None]:
    """Puts a file back as it was, or removes it where there was none, when the block raises: also where the disk is
    full, as the file itself is kept, by another name.
    """
    before = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_BEFORE}")
    existed = True
    try:
        os.link(path, before, follow_symlinks=False)
    except FileNotFoundError:
        existed = False
    try:
        yield
    except BaseException:
        if existed:
            before.replace(path)
            sync_directory(path.parent)
        else:
            path.unlink(missing_ok=True)
        raise
    finally:
        if existed:
            before.unlink(missing_ok=True)  # rename(2) leaves it where the file is still the same
