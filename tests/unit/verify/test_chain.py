# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile CA, or a taken-over acme-clientd, may send as a chain, and why it is refused."""

import base64
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from acmed import pem
from acmed.names import Identifier
from acmed.verify.chain import MAX_CHAIN_BYTES, Verified, verify_chain
from acmed.verify.links import InvalidChain
from tests.unit.rsakeys import rsa_key
from tests.unit.verify.issuing import NOW, Ca, PrivateKey, alternative_names, chain, spki

WWW = Identifier("dns", "www.example.com")
WILD = Identifier("dns", "*.example.com")
V6 = Identifier("ip", "2001:db8::1")
KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = Ca.root()
INTERMEDIATE = ROOT.intermediate()
LEAF = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW))
# Object identifiers in DER (RFC 8017 appendix C).
SHA256_WITH_RSA, SHA1_WITH_RSA = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")


def verify(text: str, *identifiers: Identifier, now: datetime = NOW, must_staple: bool = False) -> Verified:
    return verify_chain(text, spki(KEY.public_key()), frozenset(identifiers or [WWW]), must_staple, now)


def refused(text: str, *identifiers: Identifier, now: datetime = NOW, must_staple: bool = False) -> str:
    with pytest.raises(InvalidChain) as caught:
        verify(text, *identifiers, now=now, must_staple=must_staple)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_chain() -> None:
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW, WILD, V6), serial=0xABC)
    verified = verify(chain(leaf, INTERMEDIATE.certificate), WWW, WILD, V6)
    assert verified.certificates == tuple(
        certificate.public_bytes(Encoding.DER) for certificate in (leaf, INTERMEDIATE.certificate)
    )
    assert verified.serial_number == "0abc"
    assert verified.issuer == "CN=Test Intermediate"
    assert verified.fingerprint == leaf.fingerprint(hashes.SHA256()).hex()
    assert verified.not_before == int((NOW - timedelta(hours=1)).timestamp()) * 1_000_000
    assert verified.not_after == int((NOW + timedelta(days=90)).timestamp()) * 1_000_000


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_links_is_fine(count: int) -> None:
    certificates = [LEAF, INTERMEDIATE.certificate, ROOT.certificate][:count]
    assert len(verify(chain(*certificates)).certificates) == count


@pytest.mark.parametrize(
    "key",
    [
        rsa_key(2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_each_kind_of_signature_is_checked(key: PrivateKey) -> None:
    root = Ca.root(key=key)
    leaf = root.leaf(KEY.public_key(), alternative_names(WWW))
    verify(chain(leaf, root.certificate))
    der = bytearray(leaf.public_bytes(Encoding.DER))
    der[-1] ^= 1
    message = refused(pem.encode(bytes(der)) + chain(root.certificate))
    assert message == "certificate 2 did not sign the one before it"


def test_a_signature_with_pss_padding_is_checked() -> None:
    """Made with openssl; SHA-256 in the first, SHA-384 in the second."""
    certificates = [x509.load_der_x509_certificate(der) for der in pem.certificates(PSS_LEAF + PSS_CA, 2, 9999)]
    public_key = certificates[0].public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    now = datetime(2026, 12, 1, tzinfo=UTC)
    verify_chain(PSS_LEAF + PSS_CA, spki(public_key), frozenset([WWW]), False, now)
    (der,) = pem.certificates(PSS_LEAF, 1, 9999)
    broken = pem.encode(der[:-1] + bytes([der[-1] ^ 1]))
    with pytest.raises(InvalidChain, match="did not sign"):
        verify_chain(broken + PSS_CA, spki(public_key), frozenset([WWW]), False, now)


def private_key_block() -> str:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no certificate"),
        (" \n", "no certificate"),
        ("hello", "something other than a certificate at byte 0"),
        (chain(LEAF) + "hello", "something other"),
        ("Subject: me\n" + chain(LEAF), "something other"),
        (chain(LEAF) + "subject=CN = R3\n" + chain(INTERMEDIATE.certificate), "something other"),
        (chain(LEAF) + private_key_block(), "something other"),
        (chain(LEAF)[:-20], "something other"),
        (chain(LEAF).replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "something other"),
        (chain(LEAF).replace("M", "=", 1), "not base64"),
        (pem.encode(b"\x30\x03\x02\x01\x01"), "certificate 1 cannot be read"),
        (pem.encode(LEAF.public_bytes(Encoding.DER) + b"\0"), "certificate 1 cannot be read"),
        (pem.encode(LEAF.public_bytes(Encoding.DER)[:-1]), "certificate 1 cannot be read"),
        (chain(LEAF) + pem.encode(b"\x30" * 4000), "certificate 2 cannot be read"),
        (pem.encode(b"0" * (16 * 1024 + 1)), "allowed are 1 to 16384"),
        (chain(*[LEAF] * 11), "more than 10 certificates"),
        (" " * (64 * 1024) + chain(LEAF), "allowed are 65536"),
    ],
)
def test_what_is_not_certificates(text: str, reason: str) -> None:
    assert reason in refused(text)


def test_a_certificate_that_never_ends_costs_no_time() -> None:
    """64 KiB of white space took half a minute, in which acme-verify answered nobody."""
    before = time.process_time()
    refused("-----BEGIN CERTIFICATE-----" + " " * (MAX_CHAIN_BYTES - 100))
    refused("-----BEGIN CERTIFICATE-----\n" + "A\n" * (MAX_CHAIN_BYTES // 2 - 100))
    assert time.process_time() - before < 2  # seconds of CPU; 0.01 are needed


def test_another_key() -> None:
    other = INTERMEDIATE.leaf(ec.generate_private_key(ec.SECP256R1()).public_key(), alternative_names(WWW))
    assert "another key" in refused(chain(other))


@pytest.mark.parametrize(
    ("issued", "ordered"),
    [
        ([WWW], [WWW, WILD]),
        ([WWW, WILD], [WWW]),
        ([Identifier("dns", "www.example.net")], [WWW]),
        ([WILD], [WWW]),
        ([Identifier("dns", "2001:db8::1")], [V6]),
        ([Identifier("ip", "2001:db8::2")], [V6]),
    ],
)
def test_other_names(issued: list[Identifier], ordered: list[Identifier]) -> None:
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(*issued))
    assert "names not what was ordered" in refused(chain(leaf), *ordered)


def test_names_in_capitals_are_the_same() -> None:
    verify(chain(INTERMEDIATE.leaf(KEY.public_key(), [x509.DNSName("WWW.Example.COM")])))


def test_no_names_and_names_of_other_types() -> None:
    assert "no subject alternative names" in refused(chain(INTERMEDIATE.leaf(KEY.public_key(), [])))
    for extra in (x509.RFC822Name("a@example.com"), x509.UniformResourceIdentifier("https://www.example.com")):
        leaf = INTERMEDIATE.leaf(KEY.public_key(), [*alternative_names(WWW), extra])
        assert "of another type" in refused(chain(leaf))


def test_a_ca_certificate_in_the_place_of_the_leaf() -> None:
    assert "is a CA's" in refused(chain(INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), ca=True)))
    verify(chain(INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), ca=False)))


@pytest.mark.parametrize(
    ("extension", "good"),
    [
        (x509.PrecertPoison(), False),  # every certificate has such a twin in the public logs
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True),
    ],
)
def test_a_critical_extension_that_no_client_knows(extension: x509.ExtensionType, good: bool) -> None:
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), critical=extension)
    text = chain(leaf, INTERMEDIATE.certificate)
    if good:
        verify(text)
    else:
        assert extension.oid.dotted_string in refused(text)


def stapling(*types: x509.TLSFeatureType) -> str:
    feature = x509.TLSFeature(types)
    return chain(INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), more=[feature]))


def test_must_staple() -> None:
    asked = stapling(x509.TLSFeatureType.status_request)
    verify(asked, must_staple=True)
    assert refused(asked).endswith("(must-staple), which was not asked for")
    assert refused(chain(LEAF), must_staple=True).endswith(
        "lacks the extension of RFC 7633 (must-staple) that was asked for"
    )
    other = stapling(x509.TLSFeatureType.status_request_v2)
    verify(other)
    assert "lacks" in refused(other, must_staple=True)
    critical = x509.TLSFeature([x509.TLSFeatureType.status_request])
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), critical=critical)
    verify(chain(leaf), must_staple=True)


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        (0x87654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"),  # the example of RFC 9773 section 4.1
        (0x7F, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw"),
        (0x80, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIA"),
        (0x100, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AQA"),
        ((1 << 159) - 1, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.f_________________________8"),
    ],
)
def test_the_certificate_id_of_rfc_9773(serial: int, expected: str) -> None:
    authority = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    more = [x509.AuthorityKeyIdentifier(authority, None, None)]
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), serial=serial, more=more)
    assert verify(chain(leaf)).cert_id == expected


def test_no_certificate_id() -> None:
    assert verify(chain(LEAF)).cert_id is None
    named = x509.AuthorityKeyIdentifier(None, [x509.DNSName("ca.example")], 7)
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), more=[named])
    assert verify(chain(leaf)).cert_id is None


def test_times() -> None:
    names = alternative_names(WWW)
    text = chain(LEAF)
    assert "is not valid before 2026-04-30 23:00:00 UTC" in refused(text, now=NOW - timedelta(hours=2, minutes=6))
    assert "expired at 2026-07-30 00:00:00 UTC" in refused(text, now=NOW + timedelta(days=90))
    verify(text, now=NOW + timedelta(days=90) - timedelta(seconds=1))
    verify(text, now=NOW - timedelta(hours=2, minutes=5))
    long = INTERMEDIATE.leaf(KEY.public_key(), names, end=NOW + timedelta(days=4000))
    assert "lifetime of 4000 days" in refused(chain(long))


def test_an_issuer_that_is_no_ca() -> None:
    for no_ca in (ROOT.intermediate(ca=False), ROOT.intermediate(sign_usage=False)):
        leaf = no_ca.leaf(KEY.public_key(), alternative_names(WWW))
        assert "may not" in refused(chain(leaf, no_ca.certificate))


def test_path_length() -> None:
    outer = ROOT.intermediate("Outer", path_length=0)
    inner = outer.intermediate("Inner")
    leaf = inner.leaf(KEY.public_key(), alternative_names(WWW))
    assert "certificate 3 allows 0 CA certificates below it" in refused(
        chain(leaf, inner.certificate, outer.certificate)
    )
    direct = outer.leaf(KEY.public_key(), alternative_names(WWW))
    verify(chain(direct, outer.certificate, ROOT.certificate))


def test_an_expired_issuer() -> None:
    old = ROOT.intermediate(end=NOW - timedelta(days=1))
    leaf = old.leaf(KEY.public_key(), alternative_names(WWW))
    assert "certificate 2 expired" in refused(chain(leaf, old.certificate))


def test_links_that_do_not_hold() -> None:
    stranger = Ca.root("Stranger").intermediate()  # the issuer's name, another key
    assert "did not sign" in refused(chain(LEAF, stranger.certificate))
    assert "is not the issuer" in refused(chain(LEAF, ROOT.certificate))
    assert "certificate 3 is not the issuer" in refused(
        chain(LEAF, INTERMEDIATE.certificate, Ca.root("Stranger").certificate)
    )


def test_weak_signatures() -> None:
    weak = Ca.root(key=rsa_key(1024))
    leaf = weak.leaf(KEY.public_key(), alternative_names(WWW))
    assert "RSA key of 1024 bits" in refused(chain(leaf, weak.certificate))
    short = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW), algorithm=hashes.SHA224())
    assert "weak or unknown hash" in refused(chain(short, INTERMEDIATE.certificate))


def test_sha_1_is_weak() -> None:
    """cryptography makes no certificate of it, so one of SHA-256 has its algorithm named, and is signed, anew."""
    key = rsa_key(2048)
    root = Ca.root(key=key)
    leaf = root.leaf(KEY.public_key(), alternative_names(WWW))
    tbs, der = (
        one.replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
        for one in (leaf.tbs_certificate_bytes, leaf.public_bytes(Encoding.DER))
    )
    signature = key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    weak = pem.encode(der[: -len(signature)] + signature)
    assert "certificate 2 signed with a weak or unknown hash" in refused(weak + chain(root.certificate))


def test_sha_1_with_pss_padding_is_weak() -> None:
    """Whichever hash the certificate names: each that is strong is tried."""
    key = rsa_key(2048)
    (der,) = pem.certificates(PSS_LEAF, 1, 9999)
    leaf = x509.load_der_x509_certificate(der)
    public_key = leaf.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    for algorithm, good in ((hashes.SHA256(), True), (hashes.SHA1(), False)):
        pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        signature = key.sign(leaf.tbs_certificate_bytes, pss, algorithm)
        text = pem.encode(der[: -len(signature)] + signature) + chain(Ca.root("PSS", key).certificate)
        with contextlib.nullcontext() if good else pytest.raises(InvalidChain, match="certificate 2 did not sign"):
            verify_chain(text, spki(public_key), frozenset([WWW]), False, datetime(2026, 12, 1, tzinfo=UTC))


def test_a_message_names_the_missing_and_the_extra() -> None:
    leaf = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW, V6))
    message = refused(chain(leaf), WWW, WILD)
    assert message.endswith("missing are (*.example.com), not ordered are (2001:db8::1)")


def test_pem_is_rebuilt_as_it_was() -> None:
    text = LEAF.public_bytes(Encoding.PEM).decode()
    (der,) = pem.certificates(text.replace("\n", "\r\n"), 1, 9999)
    assert pem.encode(der) == text
    assert base64.b64encode(der).decode() == "".join(text.split("\n")[1:-2])


PSS_LEAF = """\
-----BEGIN CERTIFICATE-----
MIIClzCCAUugAwIBAgIUTEBNk5wx/+OymDzxF9hAA90cN+4wQQYJKoZIhvcNAQEK
MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEF
AKIDAgEgMA4xDDAKBgNVBAMMA1BTUzAeFw0yNjExMjEwODQyMjRaFw0yNzAyMTkw
ODQyMjRaMAAwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARcGEH6QGT0lZHFmZ/P
ZqoGLWqE12yuMiHe4jdbVVX9J311Z7hZnf9CbfcwCNpgk1mgtRXiySkxVoXVvlEd
OcDuo14wXDAaBgNVHREEEzARgg93d3cuZXhhbXBsZS5jb20wHQYDVR0OBBYEFJMm
x2Dx5b+mo8RC40Ek5AD77CwdMB8GA1UdIwQYMBaAFCSdxY+TBG8hbq/BN6T1lGAY
pye6MEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAIBBQChHDAaBgkqhkiG9w0B
AQgwDQYJYIZIAWUDBAIBBQCiAwIBIAOCAQEA2A2Dt6n+Dx0loe2eEJ8ZL2cULKJO
vSrYBsRuwSL3Lmum0GqD2C/bp+0+VeO/nksUrfxddVddK7Tp6/i4q/xq9RYFfr7U
vOIfDQ3JPezaPQrlBKgmOfqZS7JSN62SXAQkN+kY1dG/AXVO01rHpeclcW0TQrap
SkXl2uHWiXF6dUzpVMgwUXs7hdTk8mWvawU71V/E7lKWkDbhfSXU5VGLsu+eXkOs
tCJ6DbEB1z1EPny6wxNvrExs7Q3OEvY5IqMZJqYvGnZSgFQAphxUIRSREUtmP4SX
EpZnO1eVvKztxWkXDWIbY7p1QljhaPLWYNNH+gSuym82xiiJG03Pr7iHiQ==
-----END CERTIFICATE-----
"""

PSS_CA = """\
-----BEGIN CERTIFICATE-----
MIIDdDCCAiegAwIBAgIUWaR3IkT/WZQ1JWZsobhMdRL/KBIwQgYJKoZIhvcNAQEK
MDWgDzANBglghkgBZQMEAgIFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgIF
AKIEAgIAzjAOMQwwCgYDVQQDDANQU1MwHhcNMjYxMTIxMDg0MjI0WhcNMzYxMTE4
MDg0MjI0WjAOMQwwCgYDVQQDDANQU1MwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAw
ggEKAoIBAQDryULhuM+f2NvyjlrwiuET3ki2Bi3MFQhWeelx+K1XdVkYk+n70PQK
SVxYzKBHOes0Ukcd820Pu7RyO0CyNcsDZo8oXjuNCfC9CGyQ4/gK3hcQnDd5V94n
vSktpl7TTmgtkSpREuaaSkK0MIiwaTaT8TBgj8ict98VFPakiERxDd+svV5+Pbxf
Eade7uHmNrZG49CElK8eYOq3R5+3uJx6Ujb8UBQi1Kf/xPZzaomNXp3CNAJPClXg
mJO45x6Kj4iYNMIUREuwUMgm1FqEgcpYuuK2AoS/8eBN4cwTETTKHI5RxddJtcql
ZYyGsYfZBwQ8iBOrISoPhSrEnCY2KSBtAgMBAAGjYDBeMB0GA1UdDgQWBBQkncWP
kwRvIW6vwTek9ZRgGKcnujAfBgNVHSMEGDAWgBQkncWPkwRvIW6vwTek9ZRgGKcn
ujAPBgNVHRMBAf8EBTADAQH/MAsGA1UdDwQEAwICBDBCBgkqhkiG9w0BAQowNaAP
MA0GCWCGSAFlAwQCAgUAoRwwGgYJKoZIhvcNAQEIMA0GCWCGSAFlAwQCAgUAogQC
AgDOA4IBAQDdyL5Is/DRzUEzlPu512fmT73Dn4/hlulsAMWdI7KNbIt1aFvrVKmy
AZSMI6Woq4YcnetfXImGGMlvkpyFlrJlm0iz/+V4biqK5vQoGUgmHTeKYsApqhT+
91p5e6O4buXoY9jx32JNEQBO53x7H8gSuL+5RNikrhNE3VCIfkcYFK5jp74iHBKz
Fd8+yfPBaNSQMp0iKab1suyCk1W8EvQhPXNfpwV2uHmdzLeay6EkDsXDJBXpVjLU
eurXzCXtijHhgjyzeG8hTubPsp8LsR8Z/83UkcYIrmz3JOtO8J9wyoNFX1cxOQmx
g8xktdfCcRciqde+9OiWNU2LEaR64yvy
-----END CERTIFICATE-----
"""
