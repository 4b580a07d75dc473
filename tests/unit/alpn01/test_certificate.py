# SPDX-License-Identifier: LGPL-2.1-or-later
"""The certificate, held against RFC 8737 and RFC 8738."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from acmed.alpn01.certificate import make, proof
from acmed.names import Identifier

# The example of RFC 8555 section 8.3, and what `openssl dgst -sha256` makes of it.
AUTHORIZATION = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
DIGEST = "19f4155d8a27bba692cbefd88d4d428ae887be7c18b84651203a4b76c4e7e3d8"
# RFC 8737 section 3: SEQUENCE { OID 1.3.6.1.5.5.7.1.31, BOOLEAN TRUE, OCTET STRING { OCTET STRING { SHA-256 } } }
EXTENSION = "3031" + "06082b0601050507011f" + "0101ff" + "0422" + "0420" + DIGEST

KEY = ec.generate_private_key(ec.SECP256R1())


def test_the_extension_has_the_bytes_of_the_rfc() -> None:
    assert proof(AUTHORIZATION).hex() == "0420" + DIGEST
    der = make(Identifier("dns", "www.example.com"), AUTHORIZATION, KEY).public_bytes(serialization.Encoding.DER)
    assert der.count(bytes.fromhex(EXTENSION)) == 1


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("dns", "www.example.com", x509.DNSName("www.example.com")),
        ("dns", "xn--bcher-kva.example", x509.DNSName("xn--bcher-kva.example")),
        ("ip", "192.0.2.7", x509.IPAddress(ipaddress.IPv4Address("192.0.2.7"))),
        ("ip", "2001:db8::1", x509.IPAddress(ipaddress.IPv6Address("2001:db8::1"))),
    ],
)
def test_one_name_and_a_signature_of_its_own(kind: str, value: str, name: x509.GeneralName) -> None:
    certificate = make(Identifier(kind, value), AUTHORIZATION, KEY)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [name]
    assert [extension.critical for extension in certificate.extensions] == [False, True]
    assert certificate.issuer == certificate.subject
    assert certificate.signature_hash_algorithm
    KEY.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))


def test_slow_and_fast_clocks() -> None:
    certificate = make(Identifier("dns", "www.example.com"), AUTHORIZATION, KEY)
    now = datetime.now(UTC).replace(tzinfo=None)
    hours = timedelta(hours=23)
    assert certificate.not_valid_before < now - hours < now + hours < certificate.not_valid_after
