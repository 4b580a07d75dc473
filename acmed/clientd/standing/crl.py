# SPDX-License-Identifier: LGPL-2.1-or-later
"""CRLs (RFC 5280 sections 5 and 6.3): complete ones, signed by the certificate's own issuer."""

from datetime import datetime

from cryptography import x509

from acmed.clientd.standing.ocsp import number
from acmed.clientd.standing.result import NoAnswer, Standing, Word, check_signature, check_times, moment, reading
from acmed.verify import extensions

# Those whose meaning is regarded here; the others that RFC 5280 has are never critical.
_KNOWN_EXTENSIONS = (x509.CRLNumber.oid, x509.AuthorityKeyIdentifier.oid, x509.IssuingDistributionPoint.oid)


def judge(
    content: bytes, certificate: x509.Certificate, issuer: x509.Certificate, urls: list[str], source: str, now: datetime
) -> Standing:
    """What a CertificateList (DER) says of a certificate. urls: all that this one has for it. Raises NoAnswer."""
    with reading("the CRL"):
        found = x509.load_der_x509_crl(content)
        if found.issuer != certificate.issuer:
            raise NoAnswer("the CRL is another CA's")
        usage = extensions.find(issuer.extensions, x509.KeyUsage)
        if usage and not usage.crl_sign:
            raise NoAnswer("the certificate's issuer may not sign CRLs (key usage)")
        check_signature(found, found.tbs_certlist_bytes, issuer)
        next_update = moment(found, "next_update")
        if next_update is None:  # RFC 5280 section 5.1.2.5
            raise NoAnswer("the CRL does not say until when it is good")
        check_times(moment(found, "last_update"), next_update, now)
        _check_scope(found.extensions, urls)
        entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is None:
            return Standing(Word.GOOD, source)
        given = extensions.find(entry.extensions, x509.CRLReason)
        return Standing(Word.REVOKED, source, moment(entry, "revocation_date"), number(given.reason if given else None))


def _check_scope(found: x509.Extensions, urls: list[str]) -> None:
    """That it has each certificate of its issuer's that names it, whyever that was revoked. Raises NoAnswer."""
    for extension in found:
        if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
            name = extension.oid.dotted_string
            raise NoAnswer(f"the CRL has a critical extension that is not known here ({name}); is it a delta CRL?")
    point = extensions.find(found, x509.IssuingDistributionPoint)
    if point is None:
        return
    if point.only_contains_ca_certs or point.only_contains_attribute_certs:
        raise NoAnswer("the CRL is not about servers' certificates")
    if point.indirect_crl or point.only_some_reasons:
        raise NoAnswer("the CRL is an indirect one, or one for some reasons only")
    if point.relative_name is not None:
        raise NoAnswer("the CRL is for another distribution point")
    if point.full_name is not None:
        names = {name.value for name in point.full_name if isinstance(name, x509.UniformResourceIdentifier)}
        if not names & set(urls):
            raise NoAnswer("the CRL is for another distribution point")
