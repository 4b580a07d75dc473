# SPDX-License-Identifier: LGPL-2.1-or-later
"""The errors of org.acmed.Priv."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from acmed import journal
from acmed.varlink import VarlinkError


def refusal(error: str, **parameters: str | None) -> VarlinkError:
    """An error of the interface. Its text is one line: what a CA or a caller put into it forges nothing."""
    return VarlinkError(
        f"org.acmed.Priv.{error}",
        **{name: None if text is None else journal.printable(text) for name, text in parameters.items()},
    )


@contextmanager
def host_errors(certificate: str | None = None) -> Iterator[None]:
    """Makes InstallFailed of what the host prevented."""
    try:
        yield
    except OSError as error:
        raise refusal("InstallFailed", certificate=certificate, message=explained(error)) from error


def explained(error: OSError) -> str:
    """The path and what is wrong with it; where it is not permitted, whose directory it is in."""
    text = error.strerror or type(error).__name__
    if not error.filename:
        return text
    text = f"{error.filename}: {text}"
    return f"{text} ({_directory(Path(str(error.filename)))})" if isinstance(error, PermissionError) else text


def _directory(path: Path) -> str:
    """Owner and mode of the directory that a file is in, or of the first one above it that can be seen."""
    for directory in path.parents:
        with suppress(OSError):
            status = directory.stat()
            return f"{directory} is of user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}"
    return "no directory above it can be seen"
