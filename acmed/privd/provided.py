# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that root provides: key-file of a certificate's configuration."""

from acmed.config import Certificate
from acmed.privd import keys, rootfile
from acmed.privd.refusal import refusal

_MAX_BYTES = 64 * 1024


def read(certificate: Certificate) -> keys.PrivateKey:
    """The key in key-file. Raises InvalidConfiguration: it is not there, not root's alone, or of no use."""
    assert certificate.key_file is not None
    try:
        return keys.from_pem(rootfile.read(certificate.key_file, _MAX_BYTES, secret=True))
    except (rootfile.Unusable, keys.UnusableKey) as error:
        raise _invalid(certificate, str(error)) from error


def _invalid(certificate: Certificate, why: str) -> Exception:
    message = f"{certificate.path}: the key in 'key-file' = {str(certificate.key_file)!r} cannot be used: {why}"
    return refusal("InvalidConfiguration", message=message)
