# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed certificate, for its revocation (RFC 8555 section 7.6)."""

import hashlib

from acmed import pem
from acmed.privd import sets
from acmed.privd.install import MAX_CHAIN
from acmed.privd.places import Places
from acmed.privd.refusal import invalid_parameter, refusal

# RFC 5280 section 5.3.1: those that a subscriber may give. The rest is about CAs, holds and attribute certificates.
_REASONS = (0, 1, 3, 4, 5)


def check_reason(reason: int) -> None:
    """Raises InvalidParameter."""
    if reason not in _REASONS:
        raise invalid_parameter("reason")


def installed(places: Places, name: str) -> tuple[sets.Set, bytes]:
    """The installed set and its certificate (DER). Raises NotIssued, InstallFailed or OSError."""
    current = sets.current(places, name)
    if current is None:
        raise refusal("NotIssued", certificate=name)
    try:
        (der,) = pem.certificates(sets.content(places, name, current).cert.decode(), 1, MAX_CHAIN)
    except ValueError as error:
        message = f"{places.sets(name) / current.id}/cert.pem is damaged: {error}"
        raise refusal("InstallFailed", certificate=name, message=message) from error
    if hashlib.sha256(der).hexdigest() != current.fingerprint:
        message = f"{places.sets(name) / current.id}/cert.pem is not what set.json says"
        raise refusal("InstallFailed", certificate=name, message=message)
    return current, der
