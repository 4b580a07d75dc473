# SPDX-License-Identifier: LGPL-2.1-or-later
"""OCSP (RFC 6960) as RFC 5019 profiles it: one certificate, no nonce, SHA-1 in its name, which is no signature."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from acmed.clientd.standing.result import NoAnswer, Standing, Word, check_signature, check_times, moment, reading
from acmed.verify import extensions, links

_CERTIFICATES = 10  # of responders, in one response
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def request(certificate: x509.Certificate, issuer: x509.Certificate) -> ocsp.OCSPRequest:
    """The question about a certificate."""
    return ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()


def encoded(question: ocsp.OCSPRequest) -> bytes:
    """As it is sent."""
    return question.public_bytes(Encoding.DER)


def judge(content: bytes, question: ocsp.OCSPRequest, issuer: x509.Certificate, source: str, now: datetime) -> Standing:
    """What an OCSPResponse (DER) says of that certificate. Raises NoAnswer."""
    with reading("the OCSP response"):
        response = ocsp.load_der_ocsp_response(content)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise NoAnswer(f"the responder says {response.response_status.name.lower().replace('_', ' ')}")
        check_signature(response, response.tbs_response_bytes, _signer(response, issuer, now))
        single = next((one for one in response.responses if _is_about(one, question)), None)
        if single is None:
            raise NoAnswer("the OCSP response is about another certificate")
        next_update = moment(single, "next_update")
        check_times(moment(single, "this_update"), next_update, now)
        match single.certificate_status:
            case ocsp.OCSPCertStatus.GOOD:
                return Standing(Word.GOOD, source, ask_again=next_update)
            case ocsp.OCSPCertStatus.REVOKED:
                return _revoked(single, source)
        raise NoAnswer("the responder does not know the certificate")


def _revoked(single: ocsp.OCSPSingleResponse, source: str) -> Standing:
    revoked_at, reason = moment(single, "revocation_time"), single.revocation_reason
    if revoked_at == _EPOCH and reason is x509.ReasonFlags.certificate_hold:  # RFC 6960 section 2.2
        raise NoAnswer("the responder says that this certificate was never issued")
    return Standing(Word.REVOKED, source, revoked_at, number(reason))


def number(reason: x509.ReasonFlags | None) -> int | None:
    """As RFC 5280 section 5.3.1 has it."""
    return _NUMBERS.get(reason) if reason else None


_NUMBERS = {
    x509.ReasonFlags.unspecified: 0,
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.remove_from_crl: 8,
    x509.ReasonFlags.privilege_withdrawn: 9,
    x509.ReasonFlags.aa_compromise: 10,
}


def _is_about(single: ocsp.OCSPSingleResponse, question: ocsp.OCSPRequest) -> bool:
    """Whether the certID is the one that was asked for (RFC 6960 section 4.1.1)."""
    return (
        single.serial_number == question.serial_number
        and single.issuer_name_hash == question.issuer_name_hash
        and single.issuer_key_hash == question.issuer_key_hash
        and single.hash_algorithm.name == question.hash_algorithm.name
    )


def _signer(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
    """The issuer itself, or whom it has given the right to (RFC 6960 section 4.2.2.2). Raises NoAnswer."""
    if _named(response, issuer):
        return issuer
    for candidate in response.certificates[:_CERTIFICATES]:
        if _named(response, candidate):
            _check_delegate(candidate, issuer, now)
            return candidate
    raise NoAnswer("it is signed by somebody whom it has no certificate of")


def _named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    """Whether the responder's ID is that certificate's."""
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    return response.responder_key_hash == digest


def _check_delegate(responder: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    """It is not asked for the responder's own revocation: such a certificate lives shortly, and says so mostly."""
    purposes = extensions.find(responder.extensions, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise NoAnswer("whoever signed it may not sign OCSP responses (extended key usage)")
    usage = extensions.find(responder.extensions, x509.KeyUsage)
    if usage and not usage.digital_signature:
        raise NoAnswer("whoever signed it may not sign (key usage)")
    try:
        links.check_link(responder, issuer)
        links.check_validity(responder, now)
    except links.InvalidChain as error:
        raise NoAnswer(f"the certificate of its responder is not accepted: {error}") from error
