# SPDX-License-Identifier: LGPL-2.1-or-later
"""The errors of org.acmed.Priv."""

from collections.abc import Iterator
from contextlib import contextmanager

from acmed import journal
from acmed.varlink import VarlinkError


def refusal(error: str, **parameters: str) -> VarlinkError:
    """An error of the interface. Its text is one line: what a CA or a caller put into it forges nothing."""
    return VarlinkError(
        f"org.acmed.Priv.{error}", **{name: journal.printable(text) for name, text in parameters.items()}
    )


@contextmanager
def host_errors(certificate: str) -> Iterator[None]:
    """Makes InstallFailed of what the host prevented."""
    try:
        yield
    except OSError as error:
        raise refusal("InstallFailed", certificate=certificate, message=explained(error)) from error


def explained(error: OSError) -> str:
    """The path and what is wrong with it."""
    text = error.strerror or type(error).__name__
    return f"{error.filename}: {text}" if error.filename else text
