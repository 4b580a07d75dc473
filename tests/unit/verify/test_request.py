# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSRs that were made elsewhere: what is read out of them, and which ones no CA would take."""

import ipaddress
import subprocess
import time
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.names import Identifier
from acmed.verify.request import MAX_REQUEST_BYTES, InvalidRequest, read_request
from tests.unit.rsakeys import rsa_key
from tests.unit.verify.issuing import PrivateKey, request, spki

WWW = Identifier("dns", "www.example.com")
WILD = Identifier("dns", "*.example.com")
V4, V6 = Identifier("ip", "192.0.2.1"), Identifier("ip", "2001:db8::1")
KEY = ec.generate_private_key(ec.SECP256R1())
MUST_STAPLE = x509.TLSFeature([x509.TLSFeatureType.status_request])


def refused(der: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read_request(der)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_request() -> None:
    wanted = read_request(request(KEY, WWW, WILD, V4, V6))
    assert wanted.identifiers == (WWW, WILD, V4, V6)
    assert wanted.public_key == spki(KEY.public_key())
    assert wanted.key_type == "ecdsa-p256"
    assert wanted.must_staple is False


@pytest.mark.parametrize("oid", ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"])
def test_extensions_that_are_asked_for_twice(oid: str) -> None:
    """Parsers differ in which of the two they believe."""
    names = x509.SubjectAlternativeName([x509.DNSName("www.example.com")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, False)
    for value in (b"\0", b"longer than the first one, and so the second in DER, but for its type" * 9):
        der = builder.add_attribute(x509.ObjectIdentifier(oid), value).sign(KEY, hashes.SHA256())
        refused(der.public_bytes(Encoding.DER))
    challenge = builder.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"word").sign(KEY, hashes.SHA256())
    assert read_request(challenge.public_bytes(Encoding.DER)).identifiers == (WWW,)


def test_must_staple() -> None:
    assert read_request(request(KEY, WWW, more=[MUST_STAPLE])).must_staple is True
    other = x509.TLSFeature([x509.TLSFeatureType.status_request_v2])
    assert read_request(request(KEY, WWW, more=[other])).must_staple is False


@pytest.mark.parametrize(
    ("key", "key_type"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "ecdsa-p384"),
        (ec.generate_private_key(ec.SECP521R1()), "ecdsa-p521"),
        (rsa_key(2048), "rsa-2048"),
        (rsa_key(2560), "rsa-2560"),
    ],
    ids=["p384", "p521", "rsa-2048", "rsa-2560"],
)
def test_keys(key: PrivateKey, key_type: str) -> None:
    assert read_request(request(key, WWW)).key_type == key_type


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa_key(1024), "RSA key of 1024 bits; allowed are 2048 to 4096"),
        (ec.generate_private_key(ec.SECP256K1()), "neither RSA nor ECDSA on P-256, P-384 or P-521"),
        (ec.generate_private_key(ec.SECP224R1()), "neither RSA nor ECDSA"),
        (ed25519.Ed25519PrivateKey.generate(), "neither RSA nor ECDSA"),
    ],
    ids=["rsa-1024", "secp256k1", "p224", "ed25519"],
)
def test_keys_that_no_ca_takes(key: PrivateKey, reason: str) -> None:
    assert reason in refused(request(key, WWW))


def test_the_common_name_is_a_name() -> None:
    assert read_request(request(KEY, WWW, common_name="www.example.com")).identifiers == (WWW,)
    assert read_request(request(KEY, common_name="WWW.example.com")).identifiers == (WWW,)
    assert read_request(request(KEY, WWW, common_name="*.example.com")).identifiers == (WWW, WILD)
    assert read_request(request(KEY, WWW, common_name="192.0.2.1")).identifiers == (WWW, V4)
    assert "has a common name that no CA issues for: 'Example Ltd'" in refused(
        request(KEY, WWW, common_name="Example Ltd")
    )


def test_names_in_capitals_and_twice() -> None:
    names = [x509.DNSName("WWW.Example.com"), x509.DNSName("www.example.com")]
    assert read_request(request(KEY, names=names)).identifiers == (WWW,)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "has 0 names"),
        ([x509.DNSName(f"{number}.example.com") for number in range(101)], "has 101 names"),
        ([x509.DNSName("localhost")], "'localhost' is not a DNS name that a CA issues for"),
        ([x509.DNSName("www.example.com.")], "'www.example.com.', which must be written as 'www.example.com'"),
        ([x509.DNSName("192.0.2.1")], "'192.0.2.1', which must be written as an address"),
        ([x509.DNSName("a b.example.com")], "no CA issues for"),
        ([x509.DNSName("")], "no CA issues for"),
        ([x509.RFC822Name("a@example.com")], "of another type (RFC822Name)"),
        ([x509.UniformResourceIdentifier("https://example.com")], "of another type"),
    ],
)
def test_names_that_no_ca_takes(names: list[x509.GeneralName], reason: str) -> None:
    assert reason in refused(request(KEY, names=names))


def test_an_address_that_is_a_network() -> None:
    network = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
    refused(request(KEY, names=[network]))


def rewritten(before: bytes, after: bytes, *, more: Sequence[x509.ExtensionType] = ()) -> bytes:
    """A CSR with other bytes, as many, in the place of some, signed again: what no library of ours would write."""
    csr = x509.load_der_x509_csr(request(KEY, WWW, more=more))
    assert before in csr.tbs_certrequest_bytes
    signed = csr.tbs_certrequest_bytes.replace(before, after)
    signature = KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
    return tlv(0x30, signed + algorithm + tlv(0x03, b"\0" + signature))


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = [size] if size < 0x80 else [0x81, size] if size < 0x100 else [0x82, *size.to_bytes(2, "big")]
    return bytes([tag, *length]) + content


def test_a_name_that_is_not_in_a_labels() -> None:
    assert read_request(rewritten(b"www.", b"ftp.")).identifiers == (Identifier("dns", "ftp.example.com"),)
    refused(rewritten(b"www.", "wü.".encode()))
    refused(rewritten(b"www.", b"www\0"))


def test_an_extension_twice() -> None:
    """acme-verify would read one, and a CA perhaps the other."""
    san, other = bytes.fromhex("0603551d11"), bytes.fromhex("0603551d63")
    more = [x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x30\x0d\x82\x0bexample.org")]
    assert read_request(request(KEY, WWW, more=more)).identifiers == (WWW,)
    refused(rewritten(other, san, more=more))


def test_weak_and_wrong_signatures() -> None:
    assert "weak or unknown hash" in refused(request(KEY, WWW, algorithm=hashes.SHA224()))
    der = bytearray(request(KEY, WWW))
    der[-1] ^= 1
    assert refused(bytes(der)) == "is not signed by its own key"


def test_a_signature_with_pss_padding() -> None:
    """CAs refuse those."""
    refused(openssl("-newkey rsa:2048 -subj / -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"))


def test_what_openssl_makes() -> None:
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -subj /O=Example/CN=www.example.com"
    wanted = read_request(openssl(f"{options} -addext tlsfeature=status_request"))
    assert (wanted.identifiers, wanted.key_type, wanted.must_staple) == ((WWW, V4), "ecdsa-p384", True)


def openssl(options: str) -> bytes:
    """A CSR that openssl makes, for WWW and V4."""
    names = "subjectAltName=DNS:www.example.com,IP:192.0.2.1"
    command = f"openssl req -new -nodes -keyout /dev/null -outform DER -addext {names} {options}"
    return subprocess.run(command.split(), capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        b"-----BEGIN CERTIFICATE REQUEST-----\n",
        request(KEY, WWW)[:-1],
        request(KEY, WWW) + b"\0",
        b"\x30" * 4000,
    ],
)
def test_what_is_no_request(der: bytes) -> None:
    refused(der)


def test_a_request_that_is_too_large() -> None:
    before = time.process_time()
    assert f"allowed are {MAX_REQUEST_BYTES}" in refused(b"\x30" * (MAX_REQUEST_BYTES + 1))
    refused(b"\x30\x80" * (MAX_REQUEST_BYTES // 2))
    assert time.process_time() - before < 2  # seconds of CPU; 0.01 are needed
