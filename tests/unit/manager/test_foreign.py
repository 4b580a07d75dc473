# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSRs and certificates that anybody may send: what cannot be read is the caller's mistake, and no defect here."""

from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.bus import DBusError
from acmed.manager.requests import foreign
from acmed.verify.request import read_request

_KEY = ec.generate_private_key(ec.SECP256R1())
_NAMES = x509.SubjectAlternativeName([x509.DNSName("www.example.com")])
_OTHER = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x30\x03\x82\x01a")


def _twice(der: bytes) -> bytes:
    """The other extension becomes another subjectAltName."""
    return der.replace(b"\x06\x03\x55\x1d\x63", b"\x06\x03\x55\x1d\x11")


def _csr() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(_NAMES, critical=False).add_extension(_OTHER, critical=False)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def _certificate() -> bytes:
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([]))
    builder = builder.public_key(_KEY.public_key()).serial_number(5)
    builder = builder.not_valid_before(datetime(2024, 1, 1)).not_valid_after(datetime(2025, 1, 1))
    builder = builder.add_extension(_NAMES, critical=False).add_extension(_OTHER, critical=False)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("common", "alternative", "names"),
    [
        ("www.example.com", None, ["www.example.com"]),
        ("mail.example.com", _NAMES, ["mail.example.com", "www.example.com"]),
        ("www.example.com", _NAMES, ["www.example.com"]),
        ("192.0.2.1", None, ["192.0.2.1"]),
    ],
)
def test_common_name_is_a_name(common: str, alternative: x509.SubjectAlternativeName | None, names: list[str]) -> None:
    """As for acme-verify, which reads the CSR for acme-privd."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if alternative:
        builder = builder.add_extension(alternative, critical=False)
    der = builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    assert list(map(str, foreign.request(der))) == names
    assert set(foreign.request(der)) == set(read_request(der).identifiers)


def test_csr_with_an_extension_twice() -> None:
    assert list(map(str, foreign.request(_csr()))) == ["www.example.com"]
    with pytest.raises(DBusError, match="not a CSR"):
        foreign.request(_twice(_csr()))


def test_certificate_with_an_extension_twice_or_of_no_version() -> None:
    assert foreign.certificate(_certificate()) == ("www.example.com",)
    for odd in (_twice(_certificate()), _certificate().replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07")):
        with pytest.raises(DBusError, match="not a certificate"):
            foreign.certificate(odd)
