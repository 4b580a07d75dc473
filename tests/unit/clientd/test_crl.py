# SPDX-License-Identifier: LGPL-2.1-or-later
"""CRLs, good ones and all others."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.clientd.standing.crl import judge
from acmed.clientd.standing.result import NoAnswer, Standing, Word
from tests.unit.clientd.revoking import DAY, HOUR, NOW, Authority, Extensions, authority, new_key, usage
from tests.unit.rsakeys import rsa_key

URL = "http://crl.example/7.crl"
CA = authority()
LEAF = CA.leaf(lists=[URL])
SERIAL = LEAF.serial_number
DELTA = x509.DeltaCRLIndicator(6)


def judged(content: bytes, leaf: x509.Certificate = LEAF, ca: Authority = CA) -> Standing:
    return judge(content, leaf, ca.certificate, [URL], URL, NOW)


def refused(content: bytes, leaf: x509.Certificate = LEAF, ca: Authority = CA) -> str:
    with pytest.raises(NoAnswer) as caught:
        judged(content, leaf, ca)
    return str(caught.value)


def point(url: str | None = URL, **words: Any) -> Extensions:
    """An issuing distribution point."""
    flags = dict.fromkeys(
        "only_contains_user_certs only_contains_ca_certs indirect_crl only_contains_attribute_certs".split(), False
    )
    names = [x509.UniformResourceIdentifier(url)] if url else None
    given: dict[str, Any] = {"full_name": names, "relative_name": None, "only_some_reasons": None, **flags, **words}
    return ((x509.IssuingDistributionPoint(**given), True),)


def test_good() -> None:
    assert judged(CA.crl()) == Standing(Word.GOOD, URL)
    assert judged(CA.crl({SERIAL + 1: None})) == Standing(Word.GOOD, URL)


@pytest.mark.parametrize(
    ("reason", "number"), [(None, None), (x509.ReasonFlags.superseded, 4), (x509.ReasonFlags.privilege_withdrawn, 9)]
)
def test_revoked(reason: x509.ReasonFlags | None, number: int | None) -> None:
    assert judged(CA.crl({1: None, SERIAL: reason, 2: None})) == Standing(Word.REVOKED, URL, NOW - HOUR, number)


def test_crl_signed_with_rsa() -> None:
    key = rsa_key(2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A CA")])
    begin, end = (moment.replace(tzinfo=None) for moment in (NOW - DAY, NOW + DAY))
    ca = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    found = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(begin).next_update(end)
    content = found.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert judge(content, LEAF, ca, [URL], URL, NOW).word is Word.GOOD


@pytest.mark.parametrize("extensions", [point(), point(None, only_contains_user_certs=True)])
def test_list_that_is_for_the_certificate(extensions: Extensions) -> None:
    assert judged(CA.crl({SERIAL: None}, extensions=extensions)).word is Word.REVOKED


@pytest.mark.parametrize(
    ("extensions", "words"),
    [
        (point("http://crl.example/8.crl"), "another distribution point"),
        (point(None, relative_name=x509.RelativeDistinguishedName(CA.certificate.subject)), "another distribution"),
        (point(only_contains_ca_certs=True), "not about servers"),
        (point(None, only_contains_attribute_certs=True), "not about servers"),
        (point(indirect_crl=True), "indirect"),
        (point(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])), "some reasons"),
        (((DELTA, True),), "delta CRL"),
        (((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True),), "1.2.3.4"),
    ],
)
def test_list_that_is_for_others(extensions: Extensions, words: str) -> None:
    """What it lacks means nothing; and what it has may be taken back by another list."""
    for revoked in ({}, {SERIAL: None}):
        assert words in refused(CA.crl(revoked, extensions=extensions))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"key": new_key()}, "signature is wrong"),
        ({"name": LEAF.subject}, "another CA's"),
        ({"this_update": NOW - 9 * DAY, "next_update": NOW - HOUR}, "was to be replaced"),
        ({"this_update": NOW + HOUR}, "is to come"),
    ],
)
def test_what_says_nothing(given: dict[str, Any], words: str) -> None:
    assert words in refused(CA.crl({SERIAL: None}, **given))


def test_issuer_that_may_not_sign_lists() -> None:
    ca = authority("A CA", usage(key_cert_sign=True))
    assert "may not sign CRLs" in refused(ca.crl(), ca.leaf(lists=[URL]), ca)


def test_what_is_no_list() -> None:
    good = CA.crl({SERIAL: None})
    for content in (b"", b"\0", b"<html>", good[:-1], good + b"\0", LEAF.public_bytes(Encoding.DER), b"0\x80" * 9000):
        assert "cannot be read" in refused(content)


def test_no_bit_of_a_list_can_be_changed() -> None:
    good = CA.crl({SERIAL: x509.ReasonFlags.superseded}, extensions=point())
    for position in range(0, len(good), 3):
        broken = bytearray(good)
        broken[position] ^= 0x10
        assert refused(bytes(broken))
