# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that root provides: key-file of a certificate's configuration."""

import os
import stat

from acmed.config import Certificate
from acmed.privd import files, keys
from acmed.privd.refusal import explained, refusal

_MAX_BYTES = 64 * 1024
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # ProtectHome= and PrivateTmp= of acme-privd.service
_FORBIDDEN = stat.S_IWGRP | stat.S_IWOTH | stat.S_IROTH


def read(certificate: Certificate) -> keys.PrivateKey:
    """The key in key-file. Raises InvalidConfiguration: it is not there, not root's alone, or of no use."""
    try:
        return keys.from_pem(_content(certificate))
    except OSError as error:
        hidden = [top for top in _HIDDEN if str(certificate.key_file).startswith(f"{top}/")]
        hint = f"; acme-privd.service does not see what is in {hidden[0]}" if hidden else ""
        raise _invalid(certificate, explained(error) + hint) from error
    except keys.UnusableKey as error:
        raise _invalid(certificate, str(error)) from error


def _content(certificate: Certificate) -> bytes:
    """Symbolic links are followed where they are root's. Raises OSError or InvalidConfiguration."""
    path = certificate.key_file
    assert path is not None
    with files.reached(path) as reached:
        status = reached.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _invalid(certificate, "it is not a regular file")
        if status.st_uid not in (0, os.geteuid()):
            raise _invalid(certificate, f"it belongs to user {status.st_uid}, and must belong to root")
        if status.st_mode & _FORBIDDEN:
            raise _invalid(certificate, f"its mode is {stat.S_IMODE(status.st_mode):04o}; run: chmod 0600 {path}")
        if status.st_size > _MAX_BYTES:
            raise _invalid(certificate, f"it has {status.st_size} bytes; allowed are {_MAX_BYTES}")
        try:
            return reached.read_bytes()
        except OSError as error:
            error.filename = str(path)
            raise


def _invalid(certificate: Certificate, why: str) -> Exception:
    message = f"{certificate.path}: the key in 'key-file' = {str(certificate.key_file)!r} cannot be used: {why}"
    return refusal("InvalidConfiguration", message=message)
