# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of several chains a person prefers. Nothing here is verified: acme-verify does that."""

import re
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from acmed import journal, pem

_MOST, _LARGEST = 20, 64 * 1024  # certificates, and the bytes of each
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Preference:
    """The common name of the issuer of a chain's last certificate, as certbot's --preferred-chain; or a SHA-256
    (hexadecimal, with colons or without) of any certificate in the chain, or of the root that issued the last one.

    ca_file: roots besides the system's, or None.
    """

    def __init__(self, wish: str, ca_file: Path | None) -> None:
        digest = wish.replace(":", "").lower()
        self._wish = wish
        self._digest = digest if _SHA256.fullmatch(digest) else None
        self._ca_file = ca_file

    def fits(self, chain: str) -> bool:
        """Whether this chain (PEM) is the one. One that cannot be read is none."""
        try:
            certificates = [x509.load_der_x509_certificate(der) for der in pem.certificates(chain, _MOST, _LARGEST)]
            last = certificates[-1]
            if self._digest is None:
                return self._wish in _common_names(last.issuer)
            return self._digest in map(_sha256, certificates) or self._is_issued_by_wish(last)
        except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
            journal.notice("A chain cannot be read: %s", error)
            return False

    def _is_issued_by_wish(self, last: x509.Certificate) -> bool:
        """Whether a root of that SHA-256 is known here and could have issued it, by name and key identifier."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        for der in context.get_ca_certs(binary_form=True):
            root = x509.load_der_x509_certificate(der)
            if _sha256(root) == self._digest:
                return root.subject == last.issuer and _may_have_issued(root, last)
        return False


def _may_have_issued(root: x509.Certificate, last: x509.Certificate) -> bool:
    try:
        wanted = last.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        there = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True  # the names are all there is
    return wanted in (None, there)


def _common_names(name: x509.Name) -> list[str | bytes]:
    return [attribute.value for attribute in name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]


def _sha256(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
