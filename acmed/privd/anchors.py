# SPDX-License-Identifier: LGPL-2.1-or-later
"""The certificates that root trusts to have issued a certificate: trust-anchors of its configuration."""

import base64
from dataclasses import dataclass
from pathlib import Path

from acmed import pem
from acmed.config import Certificate
from acmed.config.model import MAX_ANCHORS
from acmed.privd import rootfile
from acmed.privd.refusal import refusal


@dataclass(frozen=True)
class Anchors:
    """path: the file. certificates: base64 of what is to be DER, which acme-verify parses."""

    path: Path
    certificates: tuple[str, ...]


def read(certificate: Certificate) -> Anchors | None:
    """None where any CA will do. Raises InvalidConfiguration: the file cannot be read, others might have written it, or
    there are no certificates in it.
    """
    path = certificate.trust_anchors
    if path is None:
        return None
    try:
        content = rootfile.read(path, MAX_ANCHORS, secret=False)
    except rootfile.Unusable as error:
        raise _invalid(certificate, str(error)) from error
    try:
        found = pem.amidst(content.decode("ascii", "replace"))
    except pem.NotCertificates as error:
        raise _invalid(certificate, str(error)) from error
    return Anchors(path, tuple(base64.b64encode(der).decode() for der in found))


def _invalid(certificate: Certificate, why: str) -> Exception:
    message = f"{certificate.path}: the file 'trust-anchors' = {str(certificate.trust_anchors)!r} cannot be used: {why}"
    return refusal("InvalidConfiguration", message=message)
