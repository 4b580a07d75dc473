# SPDX-License-Identifier: LGPL-2.1-or-later
"""Account keys as credentials (systemd-creds(1)) for acme-keyd. A key is never on a disk, in an argument or in a log
without encryption: it goes to systemd-creds through a pipe.
"""

import subprocess
from pathlib import Path

from acmed.privd import files

_PROGRAM = "/usr/bin/systemd-creds"
_TIMEOUT = 30.0  # seconds; a TPM is slow


class SealingFailed(Exception):
    """The message has what systemd-creds said."""


def credential_name(account: str) -> str:
    """As LoadCredentialEncrypted=account:DIRECTORY names the file ACCOUNT in it."""
    return f"account_{account}"


def seal(account: str, key: bytes, credential: Path) -> None:
    """Writes an account's key (PKCS#8 PEM), sealed, for acme-keyd. Raises SealingFailed or OSError.

    A blob that cannot be decrypted would keep acme-keyd from starting at all, so it is tried first. The temporary
    file's name begins with a dot: PID 1 does not read it.
    """
    name = f"--name={credential_name(account)}"
    sealed = _run("encrypt", name, key)
    if _run("decrypt", name, sealed) != key:
        raise SealingFailed("systemd-creds decrypts the sealed key to something else")
    files.replace(credential, sealed, files.PRIVATE)


def _run(verb: str, name: str, data: bytes) -> bytes:
    try:
        done = subprocess.run(
            [_PROGRAM, verb, name, "-", "-"], input=data, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SealingFailed(f"systemd-creds {verb} was not done after {_TIMEOUT:g} s") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        hint = "is there a host key? Run: systemd-creds setup"
        raise SealingFailed(f"systemd-creds {verb} failed: {said or done.returncode} ({hint})")
    return done.stdout
