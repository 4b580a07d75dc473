# SPDX-License-Identifier: LGPL-2.1-or-later
"""What would keep a CA from validating and issuing, found out before it is asked: a validation that fails is counted
there, and its answer says less. It is looked for beside the first steps of an order, which it does not make longer; an
order finds out about ports by opening them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from acmed import journal
from acmed.config import Account, Certificate
from acmed.config.model import ChallengeType, Http01Mode
from acmed.manager import errors
from acmed.manager.challenges import Challenge, types_for
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools
from acmed.names import Identifier

OK, WARNING, ERROR = "ok", "warning", "error"

# Seconds. A CA writes into a certificate from when it is valid, and its HTTPS is checked, by the clock.
_CLOCK_ERROR, _CLOCK_WARNING = 300, 60
_TIMEOUT = 60.0

_PORTS = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)
# What is about this host or the CA, and not about an identifier.
_CLOCK, _PORT, _LIMIT, _DIRECTORY = "clock", "port", "limit", "directory"
_RECORDS = "records"  # of org.acmed.DNS


@dataclass(frozen=True)
class Finding:
    """check: clock, directory, limit, port, or one of org.acmed.DNS. subject: an identifier, a type of challenge or an
    account.
    """

    check: str
    subject: str
    severity: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


async def findings(tools: Tools, certificate: Certificate, account: Account) -> list[Finding]:
    """All of it, for whoever asks; nothing is ordered."""
    window = tools.catalogue.status(certificate.name).window
    try:
        # A CA that says when to renew (RFC 9773) is told what the next one replaces.
        tools.limiter.check(account, certificate.identifiers, renewal=bool(window and window.start))
        limit = Finding(_LIMIT, account.name, OK, "no known limit is in the way of a new order")
    except Failure as failure:
        limit = Finding(_LIMIT, account.name, ERROR, failure.message)
    types = types_for(tools.catalogue.configuration, certificate, certificate.identifiers)
    ports = asyncio.gather(*(_port(tools, certificate, kind) for kind in _PORTS if _needs(kind, types, tools)))
    found, ways = await asyncio.gather(_look(tools, certificate, account, job=0), ports)
    return [limit, *(_published(finding, tools) for finding in found), *ways]


class Preflight:
    """Looks while it is entered, unless the certificate's configuration says preflight = false."""

    def __init__(self, job: Job, tools: Tools, certificate: Certificate, account: Account) -> None:
        self._job = job
        self._tools = tools
        self._certificate = certificate
        self._account = account
        self._look: asyncio.Task[list[Finding]] | None = None

    async def __aenter__(self) -> "Preflight":
        if self._certificate.preflight:
            work = _look(self._tools, self._certificate, self._account, self._job.id)
            self._look = asyncio.ensure_future(work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._look:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def passed(self, challenges: Sequence[Challenge]) -> None:
        """Returns when nothing that was found is in the way of these. Where there are none to answer, all names are
        valid at the CA already, and nothing can be. Raises Failure PreflightFailed.
        """
        if not self._look or not challenges:
            return
        expected = types_for(self._tools.catalogue.configuration, self._certificate, self._certificate.identifiers)
        found = relevant(await self._look, challenges, expected)
        problems = [str(finding) for finding in found if finding.severity == ERROR]
        if problems:
            raise Failure(errors.PREFLIGHT_FAILED, "; ".join(problems))
        warnings: defaultdict[str, list[str]] = defaultdict(list)
        for finding in found:
            if finding.severity == WARNING:
                journal.warning("Preflight (%s): %s", finding.check, finding)
                warnings[finding.message].append(finding.subject)
        if warnings:
            detail = "; ".join(f"{', '.join(names)}: {message}" for message, names in warnings.items())
            self._job.report(self._job.step, self._job.progress, detail=detail)


def relevant(
    found: Iterable[Finding], challenges: Iterable[Challenge], expected: Mapping[Identifier, ChallengeType]
) -> list[Finding]:
    """Those about challenges that are to be answered, and about none of them in particular. What was looked at is what
    was expected: about a name that is valid at the CA, or is to be validated otherwise, it says nothing. Lasting
    records are looked at when they are presented.
    """
    asked = {one.name for one in challenges if expected.get(one.ordered) is one.type}
    others = {identifier.value for identifier in expected} - asked
    return [finding for finding in found if finding.subject not in others and finding.check != _RECORDS]


def _published(finding: Finding, tools: Tools) -> Finding:
    """A lasting record that is missing in a zone that is configured is set by the next order."""
    zone = tools.catalogue.configuration.zone_above(finding.subject.removeprefix("*."))
    if finding.check != _RECORDS or finding.severity != ERROR or zone is None:
        return finding
    return replace(finding, severity=WARNING, message=f"{finding.message}; an order sets it in the zone {zone.name}")


def _needs(kind: ChallengeType, types: Mapping[Identifier, ChallengeType], tools: Tools) -> bool:
    """Whether acme-privd has a port to open, or a document root that is for all names."""
    http01 = tools.catalogue.configuration.http01
    names = [identifier.value for identifier, wanted in types.items() if wanted is kind]
    if kind is ChallengeType.HTTP_01 and http01.mode is not Http01Mode.WEBROOT:
        names = [name for name in names if http01.directory(name) is None]
    return bool(names)


async def _port(tools: Tools, certificate: Certificate, kind: ChallengeType) -> Finding:
    try:
        answer = await tools.daemons.priv(
            "ProbeChallenge", timeout=_TIMEOUT, job=0, certificate=certificate.name, type=kind.value
        )
    except Failure as failure:
        return Finding(_PORT, kind.value, WARNING, failure.message)
    if answer["problem"]:
        return Finding(_PORT, kind.value, ERROR, journal.printable(answer["problem"]))
    return Finding(_PORT, kind.value, OK, f"answers to {kind} can be made reachable")


async def _look(tools: Tools, certificate: Certificate, account: Account, job: int) -> list[Finding]:
    """The CA's clock, and then DNS, which is to allow the CA by its name."""
    types = types_for(tools.catalogue.configuration, certificate, certificate.identifiers)
    timeout = _TIMEOUT + account.deadlines.request
    try:
        directory = await tools.daemons.client("Directory", timeout=timeout, job=job, account=account.name)
    except Failure as failure:
        issuers: list[str] = []
        found = [Finding(_DIRECTORY, account.name, WARNING, f"The CA cannot be asked: {failure.message}")]
    else:
        issuers = directory["caaIdentities"]
        found = [_clock(account, directory["clockOffset"])]
    looked_at = {identifier: kind for identifier, kind in types.items() if kind is not ChallengeType.NONE}
    if not looked_at:
        return found
    try:
        answer = await tools.daemons.dns(
            "Check",
            timeout=_TIMEOUT,
            job=job,
            certificate=certificate.name,
            identifiers=[{"type": one.type, "value": one.value} for one in looked_at],
            types=[kind.value for kind in looked_at.values()],
            issuers=issuers,
            account=account.uri or "",
        )
    except Failure as failure:
        return [*found, Finding("dns", account.name, WARNING, f"DNS was not looked at: {failure.message}")]
    return [*found, *map(_believed, answer["findings"])]


def _clock(account: Account, offset: int) -> Finding:
    """offset: seconds that the CA's clock is ahead."""
    if abs(offset) <= _CLOCK_WARNING:
        message = f"this host's clock and that of the CA differ by {abs(offset)} s"
        return Finding(_CLOCK, account.name, OK, message)
    severity, behind = ERROR if abs(offset) > _CLOCK_ERROR else WARNING, "behind" if offset > 0 else "ahead of"
    message = f"this host's clock is {abs(offset)} s {behind} that of the CA; see 'timedatectl'"
    return Finding(_CLOCK, account.name, severity, message)


def _believed(finding: Mapping[str, str]) -> Finding:
    """acme-dnsd reads what the network sends."""
    severity = finding["severity"] if finding["severity"] in (OK, WARNING, ERROR) else WARNING
    check, subject, message = (journal.printable(finding[key]) for key in ("check", "subject", "message"))
    return Finding(check, subject, severity, message)
