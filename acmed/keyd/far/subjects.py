# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a CSR or a certificate is for, read from its DER by the code that acme-verify has for it."""

from collections.abc import Sequence

from cryptography import x509

from acmed.keyd.policy import Refused
from acmed.names import Identifier
from acmed.verify import extensions
from acmed.verify.request import MAX_NAMES, MAX_REQUEST_BYTES, InvalidRequest, read_request


def of_request(der: bytes) -> Sequence[Identifier]:
    """Every name that a CA could take from a CSR. Raises Refused."""
    try:
        return read_request(der).identifiers
    except InvalidRequest as error:
        raise Refused(f"the CSR {error}") from error


def of_certificate(der: bytes) -> Sequence[Identifier]:
    """Raises Refused, also where it is for anything but DNS names and addresses."""
    if len(der) > MAX_REQUEST_BYTES:
        raise Refused(f"the certificate has {len(der)} bytes; allowed are {MAX_REQUEST_BYTES}")
    try:
        certificate = x509.load_der_x509_certificate(der)
        subjects = list(extensions.find(certificate.extensions, x509.SubjectAlternativeName) or ())
    except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
        raise Refused(f"the certificate cannot be read ({type(error).__name__})") from error
    if not 1 <= len(subjects) <= MAX_NAMES:
        raise Refused(f"the certificate has {len(subjects)} subject alternative names; allowed are 1 to {MAX_NAMES}")
    return [_identifier(subject) for subject in subjects]


def _identifier(subject: x509.GeneralName) -> Identifier:
    if isinstance(subject, x509.DNSName):
        return Identifier("dns", subject.value)
    if isinstance(subject, x509.IPAddress):
        return Identifier("ip", str(subject.value))
    raise Refused(f"the certificate has a subject alternative name of another type ({type(subject).__name__})")
