# SPDX-License-Identifier: LGPL-2.1-or-later
"""OCSP responses, good ones and all others."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from acmed.clientd.standing.ocsp import encoded, judge, request
from acmed.clientd.standing.result import NoAnswer, Standing, Word
from tests.unit.clientd.revoking import DAY, HOUR, NOW, OCSP_SIGNING, Signer, authority, usage

URL = "http://ocsp.example/"
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
NAME = ocsp.OCSPResponderEncoding.NAME
CA, OTHER = authority(), authority("Another CA")
RESPONDER = CA.responder(OCSP_SIGNING)
LEAF = CA.leaf([URL])


def judged(content: bytes, leaf: x509.Certificate = LEAF) -> Standing:
    return judge(content, request(leaf, CA.certificate), CA.certificate, URL, NOW)


def refused(content: bytes) -> str:
    with pytest.raises(NoAnswer) as caught:
        judged(content)
    return str(caught.value)


def test_request_is_that_of_rfc_5019() -> None:
    question = ocsp.load_der_ocsp_request(encoded(request(LEAF, CA.certificate)))
    assert question.serial_number == LEAF.serial_number
    assert isinstance(question.hash_algorithm, hashes.SHA1)
    assert len(question.extensions) == 0


@pytest.mark.parametrize("by", list(ocsp.OCSPResponderEncoding))
def test_good(by: ocsp.OCSPResponderEncoding) -> None:
    assert judged(CA.response(LEAF, by=by)) == Standing(Word.GOOD, URL, ask_again=NOW + 3 * DAY)


def test_good_without_a_next_update_is_believed_for_a_day() -> None:
    assert judged(CA.response(LEAF, next_update=None)) == Standing(Word.GOOD, URL)
    assert "was to be replaced" in refused(CA.response(LEAF, next_update=None, this_update=NOW - 2 * DAY))


@pytest.mark.parametrize(
    ("reason", "number"),
    [(None, None), (x509.ReasonFlags.key_compromise, 1), (x509.ReasonFlags.privilege_withdrawn, 9)],
)
def test_revoked(reason: x509.ReasonFlags | None, number: int | None) -> None:
    found = judged(CA.response(LEAF, REVOKED, revoked_at=NOW - DAY, reason=reason))
    assert found == Standing(Word.REVOKED, URL, NOW - DAY, number)


@pytest.mark.parametrize("by", list(ocsp.OCSPResponderEncoding))
def test_delegated_responder(by: ocsp.OCSPResponderEncoding) -> None:
    for extensions in ((OCSP_SIGNING,), (OCSP_SIGNING, usage(digital_signature=True))):
        found = judged(CA.response(LEAF, REVOKED, signer=CA.responder(*extensions), by=by))
        assert found.word is Word.REVOKED


@pytest.mark.parametrize(
    ("responder", "words"),
    [
        (CA.responder(), "may not sign OCSP responses"),
        (
            CA.responder((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)),
            "may not sign OCSP responses",
        ),
        (CA.responder(OCSP_SIGNING, usage(key_agreement=True)), "may not sign (key usage)"),
        (CA.responder(OCSP_SIGNING, begin=NOW - 9 * DAY, end=NOW - DAY), "expired"),
        (CA.responder(OCSP_SIGNING, begin=NOW + DAY), "not valid before"),
        (OTHER.responder(OCSP_SIGNING), "not the issuer"),
        (authority("A CA").responder(OCSP_SIGNING), "did not sign"),
    ],
)
def test_responder_that_may_not(responder: Signer, words: str) -> None:
    assert words in refused(CA.response(LEAF, signer=responder))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"signer": authority("A CA"), "by": NAME}, "signature is wrong"),
        ({"signer": OTHER.responder(OCSP_SIGNING), "by": NAME, "shown": [RESPONDER.certificate]}, "signature is wrong"),
        ({"signer": RESPONDER, "shown": ()}, "no certificate of"),
        ({"signer": OTHER, "shown": ()}, "no certificate of"),
        ({"signer": OTHER}, "may not sign OCSP responses"),
        ({"signed_with": hashes.SHA224()}, "weak or unknown hash"),
        ({"this_update": NOW - 4 * DAY, "next_update": NOW - HOUR}, "was to be replaced"),
        ({"this_update": NOW + HOUR}, "is to come"),
        ({"issuer": OTHER.certificate}, "another certificate"),
        ({"algorithm": hashes.SHA256()}, "another certificate"),
        ({"status": UNKNOWN}, "does not know"),
    ],
)
def test_what_says_nothing(given: dict[str, Any], words: str) -> None:
    assert words in refused(CA.response(LEAF, **given))


def test_answer_about_another_certificate() -> None:
    """A good one, and signed: it is for whoever asks about that one."""
    assert "another certificate" in refused(CA.response(CA.leaf([URL])))


def test_certificate_that_was_never_issued() -> None:
    """So a responder may say of one that it does not know yet (RFC 6960 section 2.2)."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    hold = x509.ReasonFlags.certificate_hold
    assert "never issued" in refused(CA.response(LEAF, REVOKED, revoked_at=epoch, reason=hold))
    assert judged(CA.response(LEAF, REVOKED, revoked_at=epoch)).word is Word.REVOKED


@pytest.mark.parametrize(
    "status", [one for one in ocsp.OCSPResponseStatus if one is not ocsp.OCSPResponseStatus.SUCCESSFUL]
)
def test_responder_that_does_not_answer(status: ocsp.OCSPResponseStatus) -> None:
    content = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    assert "the responder says" in refused(content)


def test_what_is_no_response() -> None:
    good = CA.response(LEAF)
    for content in (b"", b"\0", b"<html>", good[:-1], good + b"\0", LEAF.public_bytes(Encoding.DER), b"0\x80" * 9000):
        assert "cannot be read" in refused(content)


def test_no_bit_of_a_response_can_be_changed() -> None:
    """Whatever is made of it, it says nothing: neither that all is well, nor that it was revoked, nor an error."""
    good = CA.response(LEAF, REVOKED, reason=x509.ReasonFlags.superseded)
    for position in range(0, len(good), 3):
        broken = bytearray(good)
        broken[position] ^= 0x10
        assert refused(bytes(broken))
