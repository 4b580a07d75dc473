# SPDX-License-Identifier: LGPL-2.1-or-later
"""Secrets as credentials (systemd-creds(1)) for acme-keyd. None is ever on a disk, in an argument or in a log without
encryption: it goes to systemd-creds through a pipe.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acmed.privd import files
from acmed.privd.refusal import explained, refusal

# What LoadCredentialEncrypted= of acme-keyd.service calls the directories; a blob is good under its own name only.
ACCOUNT, NEXT, BINDING = "account", "next", "binding"

_PROGRAM = "/usr/bin/systemd-creds"
_TIMEOUT = 30.0  # seconds; a TPM is slow


class SealingFailed(Exception):
    """The message has what systemd-creds said."""


def seal(kind: str, account: str, secret: bytes, credential: Path) -> None:
    """Writes an account's secret, sealed, for acme-keyd. Raises SealingFailed or OSError.

    A blob that cannot be decrypted would keep acme-keyd from starting at all, so it is tried first. The temporary
    file's name begins with a dot: PID 1 does not read it.
    """
    sealed = _run("encrypt", _name(kind, account), secret)
    if unseal(kind, account, sealed) != secret:
        raise SealingFailed("systemd-creds decrypts the sealed secret to something else")
    files.replace(credential, sealed, files.PRIVATE)


def unseal(kind: str, account: str, sealed: bytes) -> bytes:
    """The secret in a credential. Raises SealingFailed."""
    return _run("decrypt", _name(kind, account), sealed)


@contextmanager
def errors(account: str) -> Iterator[None]:
    """Makes KeyUnavailable of what goes wrong with a secret."""
    try:
        yield
    except SealingFailed as error:
        raise refusal("KeyUnavailable", account=account, reason=str(error)) from error
    except OSError as error:
        raise refusal("KeyUnavailable", account=account, reason=explained(error)) from error


def _name(kind: str, account: str) -> str:
    """As LoadCredentialEncrypted=KIND:DIRECTORY names the file ACCOUNT in it."""
    return f"--name={kind}_{account}"


def _run(verb: str, name: str, data: bytes) -> bytes:
    try:
        done = subprocess.run(
            [_PROGRAM, verb, name, "-", "-"], input=data, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        # Not "from" it: that exception has the data in it.
        raise SealingFailed(f"systemd-creds {verb} was not done after {_TIMEOUT:g} s") from None
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        hint = "is there a host key? Run: systemd-creds setup"
        raise SealingFailed(f"systemd-creds {verb} failed: {said or done.returncode} ({hint})")
    return done.stdout
