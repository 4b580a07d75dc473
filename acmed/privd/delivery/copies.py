# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies of an installed set's files, for services that cannot be pointed at /var/lib/acme."""

import errno
from collections.abc import Callable, Mapping
from pathlib import Path

from acmed.config.sandbox import is_shared
from acmed.privd import files
from acmed.privd.installed.sets import Content
from acmed.privd.refusal import explained

_READ_ONLY = "acme-privd may not write there; 'acmectl config check' prints the drop-in for its unit that lets it"
_SHARED = "acme-privd may not write there, where many programs have their files: use a directory for certificates alone"
_DENIED = "the directory must belong to root: acme-privd has no right to pass by its mode"


def write(targets: Mapping[str, Path], content: Content, access: Callable[[str], files.Access]) -> None:
    """Writes each kind of file to its path, with the access of its kind. Raises OSError; those before it are there."""
    for kind, target in targets.items():
        try:
            with files.reached(target.parent) as directory:
                files.replace(directory / target.name, content.file(kind), access(kind))
        except OSError as error:
            error.filename = str(target) if error.errno != errno.ELOOP else error.filename
            raise


def problem(error: OSError) -> str:
    """What is wrong with a path, and what to do."""
    directory = str(Path(error.filename).parent) if error.filename else ""
    if error.errno == errno.EROFS:
        hint = _SHARED if is_shared(Path(directory)) else _READ_ONLY
        return f"{explained(error)}: {hint}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{explained(error)}: {_DENIED}"
    return explained(error)
