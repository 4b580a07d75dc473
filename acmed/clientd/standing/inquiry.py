# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks one source after the other, until one answers. Whatever goes wrong there is a standing that is not known."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509

from acmed import journal, pem
from acmed.clientd.ca.transport import Route, Transport
from acmed.clientd.errors import Unreachable
from acmed.clientd.limits import Limits
from acmed.clientd.standing import crl, ocsp, sources
from acmed.clientd.standing.result import NoAnswer, Standing, Word, reading
from acmed.config.model import Account
from acmed.verify import links

_MAX_CERTIFICATES = 10
_MAX_CERTIFICATE = 16 * 1024  # bytes
_MOST = 2  # responders, and CRLs, that are tried
_OCSP_REQUEST = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
_CRL_REQUEST = {"Accept": "application/pkix-crl"}


@dataclass(frozen=True)
class _Subject:
    """What is asked about, and whom. account: for its proxy, and for what authenticates an https server."""

    account: Account
    certificate: x509.Certificate
    issuer: x509.Certificate
    responders: list[str]
    points: list[str]


class Inquiry:
    """Connections of its own: an answer that does not end keeps no request to a CA waiting."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._responders = Transport(replace(limits, body=limits.ocsp_body, threads=limits.standing_threads))
        self._lists = Transport(replace(limits, body=limits.crl_body, threads=limits.standing_threads))

    def close(self) -> None:
        """As Transport.close()."""
        self._responders.close()
        self._lists.close()

    async def ask(self, account: Account, chain: str) -> Standing:
        """How the first certificate of a chain (PEM) stands; the next one is its issuer."""
        try:
            subject = await asyncio.to_thread(_subject, account, chain)
        except NoAnswer as error:
            return Standing(Word.UNKNOWN, message=str(error))
        if not subject.responders and not subject.points:
            return Standing(Word.NONE)
        problems = []
        for ask, urls in ((self._by_ocsp, subject.responders), (self._by_crl, subject.points)):
            for url in urls[:_MOST]:
                try:
                    return await ask(subject, url)
                except Unreachable as error:
                    problems.append(str(error))
                except NoAnswer as error:
                    problems.append(f"{url}: {error}")
                journal.debug("Whether it was revoked is not known from %s", problems[-1])
        return Standing(Word.UNKNOWN, message="; ".join(problems))

    async def _by_ocsp(self, subject: _Subject, url: str) -> Standing:
        with reading("the certificate"):
            question = ocsp.request(subject.certificate, subject.issuer)
        body, within = ocsp.encoded(question), self._limits.ocsp_within
        content = await _fetch(self._responders, subject.account, "POST", url, _OCSP_REQUEST, body, within)
        return await asyncio.to_thread(ocsp.judge, content, question, subject.issuer, url, datetime.now(UTC))

    async def _by_crl(self, subject: _Subject, url: str) -> Standing:
        within = self._limits.crl_within
        content = await _fetch(self._lists, subject.account, "GET", url, _CRL_REQUEST, None, within)
        certificate, issuer, points = subject.certificate, subject.issuer, subject.points
        return await asyncio.to_thread(crl.judge, content, certificate, issuer, points, url, datetime.now(UTC))


async def _fetch(
    transport: Transport,
    account: Account,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    within: float,
) -> bytes:
    """Raises Unreachable or NoAnswer. Nothing is asked twice, and no redirect is followed."""
    route = Route(sources.origin(url), account.ca_file, account.proxy)
    answer = await transport.exchange(route, method, url, headers, body, within)
    if 300 <= answer.status < 400:
        raise NoAnswer(f"redirects to {answer.headers.get('location', 'nowhere')[:200]}, which is not followed")
    if answer.status != 200:
        raise NoAnswer(f"answered {answer.title}")
    return answer.body


def _subject(account: Account, chain: str) -> _Subject:
    """Raises NoAnswer."""
    try:
        blocks = pem.certificates(chain, _MAX_CERTIFICATES, _MAX_CERTIFICATE)
    except pem.NotCertificates as error:
        raise NoAnswer(f"the certificate cannot be read: {error}") from error
    with reading("the certificate"):
        certificate = x509.load_der_x509_certificate(blocks[0])
        responders, points = sources.responders(certificate), sources.distribution_points(certificate)
        if not responders and not points:
            return _Subject(account, certificate, certificate, [], [])
        if len(blocks) < 2:
            raise NoAnswer("the certificate of its issuer is not there")
        issuer = x509.load_der_x509_certificate(blocks[1])
        try:
            links.check_link(certificate, issuer)
        except links.InvalidChain as error:
            raise NoAnswer(f"the certificate of its issuer {error}") from error
    return _Subject(account, certificate, issuer, responders, points)
