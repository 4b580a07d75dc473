# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificate signing requests (RFC 2986) that are made here."""

import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.config import Certificate
from acmed.config.model import KEY_USAGES, Hash
from acmed.names import Identifier
from acmed.privd.keys import PrivateKey

_MUST_STAPLE = x509.TLSFeature([x509.TLSFeatureType.status_request])  # RFC 7633
_HASHES: dict[Hash, type[hashes.HashAlgorithm]] = {
    Hash.SHA256: hashes.SHA256,
    Hash.SHA384: hashes.SHA384,
    Hash.SHA512: hashes.SHA512,
}


def signing_request(key: PrivateKey, certificate: Certificate) -> bytes:
    """A CSR (DER) with all identifiers as subject alternative names.

    The subject is empty unless one is configured: a common name would be limited to 64 bytes, and is not needed (RFC
    8555 section 7.4).
    """
    names = x509.SubjectAlternativeName([_general_name(identifier) for identifier in certificate.identifiers])
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(certificate))
    builder = builder.add_extension(names, critical=False)
    if certificate.must_staple:
        builder = builder.add_extension(_MUST_STAPLE, critical=False)
    if certificate.key_usage:
        usage = x509.KeyUsage(*(word in certificate.key_usage for word in KEY_USAGES))
        builder = builder.add_extension(usage, critical=True)  # RFC 5280 section 4.2.1.3
    return builder.sign(key, _HASHES[certificate.hash]()).public_bytes(Encoding.DER)


def _subject(certificate: Certificate) -> x509.Name:
    """Configuration has seen to it that it can be had, and that its common name is one of the names."""
    subject = x509.Name.from_rfc4514_string(certificate.subject) if certificate.subject else x509.Name([])
    if certificate.common_name is None:
        return subject
    common_name = x509.NameAttribute(x509.NameOID.COMMON_NAME, certificate.common_name)
    return x509.Name([*subject.rdns, x509.RelativeDistinguishedName([common_name])])


def _general_name(identifier: Identifier) -> x509.GeneralName:
    if identifier.type == "ip":
        return x509.IPAddress(ipaddress.ip_address(identifier.value))
    return x509.DNSName(identifier.value)
