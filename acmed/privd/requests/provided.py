# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that root provides: key-file of a certificate's configuration."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from acmed import journal
from acmed.config import Certificate
from acmed.privd import files, keys, rootfile
from acmed.privd.installed import archive, sets
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.varlink import VarlinkError

_MAX_BYTES = 64 * 1024
# Seconds after which no further key is read: OpenSSL checks RSA keys, and takes up to a second for each.
_LONGEST = 3.0


def read(certificate: Certificate) -> keys.PrivateKey:
    """The key in key-file. Raises InvalidConfiguration: it is not there, not root's alone, or of no use."""
    assert certificate.key_file is not None
    try:
        return keys.from_pem(rootfile.read(certificate.key_file, _MAX_BYTES, secret=True))
    except (rootfile.Unusable, keys.UnusableKey) as error:
        raise _invalid(certificate, str(error)) from error


def compared(places: Places, seen: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A ProvidedKey (org.acmed.Priv) for each of these certificates that has one, is installed, and is not as it was
    seen before. Nothing else is told of the file, and nothing where it, or what is installed, cannot be read.
    """
    configured, end = places.configuration().certificates, time.monotonic() + _LONGEST
    for name, before in seen.items():
        certificate = configured.get(name)
        if certificate is None or certificate.key_file is None:
            continue
        try:
            found = _compared(places, certificate, before)
        except (VarlinkError, OSError) as error:
            journal.info("Whether the key of %s was replaced is not known: %s", name, error, certificate=name)
        else:
            if found is None:
                continue
            yield found
        if time.monotonic() > end:
            break


def _compared(places: Places, certificate: Certificate, before: str) -> dict[str, Any] | None:
    """None where it is as it was before, or nothing is installed. What was revoked still is, if not replaced. Raises
    OSError, and what read() does.
    """
    name = certificate.name
    installed = sets.current(places, name) or archive.current(places, name)
    if installed is None or certificate.key_file is None:
        return None
    with files.reached(certificate.key_file) as reached:
        status = reached.stat()
    what = (installed.fingerprint, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    seen = hashlib.sha256(repr(what).encode()).hexdigest()
    if seen == before:
        return None
    replaced = keys.encoded_public_key(read(certificate)) != archive.public_key_of(places, name, installed)
    return {"certificate": name, "fingerprint": installed.fingerprint, "replaced": replaced, "seen": seen}


def _invalid(certificate: Certificate, why: str) -> Exception:
    message = f"{certificate.path}: the key in 'key-file' = {str(certificate.key_file)!r} cannot be used: {why}"
    return refusal("InvalidConfiguration", message=message)
