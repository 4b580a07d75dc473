# SPDX-License-Identifier: LGPL-2.1-or-later
"""What would keep a CA from validating and issuing, found out before it is asked: an order and a validation that fails
are counted there, and its answer says less. It is looked for while the key and the CSR are made. An order finds out
about ports by opening them: that is certain, and they are open only while the CA validates.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from acmed import journal
from acmed.config import Account, Certificate
from acmed.config.model import ChallengeType
from acmed.manager import clock, errors
from acmed.manager.challenges import Challenge, dns, types_for
from acmed.manager.challenges.offer import is_issuer
from acmed.manager.daemons import DNSD
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools
from acmed.manager.ways import skew
from acmed.names import Identifier

OK, WARNING, ERROR = "ok", "warning", "error"

TIMEOUT = 60.0  # seconds

# What is about this host or the CA, and not about an identifier.
_CLOCK, _DIRECTORY = "clock", "directory"
_RECORDS = "records"  # of org.acmed.DNS
_DNS = "dns"  # what org.acmed.DNS was to find out
# What acme-dnsd has to set a record for, or to say who does: without it, an order would be in vain.
_SET_FOR_EACH = {ChallengeType.DNS_01, ChallengeType.DNS_ACCOUNT_01}


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


@dataclass(frozen=True)
class Looked:
    """What was found. offset: seconds that the CA's clock is ahead, 0 where it does not say."""

    findings: list[Finding]
    offset: int = 0


class Preflight:
    """Looks while it is entered, unless the certificate's configuration says preflight = false."""

    def __init__(self, job: Job, tools: Tools, certificate: Certificate, account: Account) -> None:
        self._job = job
        self._tools = tools
        self._certificate = certificate
        self._account = account
        self._look: asyncio.Task[Looked] | None = None

    async def __aenter__(self) -> "Preflight":
        if self._certificate.preflight:
            work = look(self._tools, self._certificate, self._account, self._job.id)
            self._look = asyncio.ensure_future(work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._look:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def passed(self) -> None:
        """Returns when nothing that was found is in the way of a new order, or nothing may be: what is installed is in
        danger. Raises Failure PreflightFailed.
        """
        if self._look:
            looked = await self._look
            self._judge(looked.findings, looked.offset)

    async def passed_for(self, challenges: Sequence[Challenge]) -> None:
        """The same for an order that the CA has already, of which only these are to be answered. Where there are none,
        all names are valid at the CA, and nothing can be in the way.
        """
        if self._look and challenges:
            looked = await self._look
            self._judge(relevant(looked.findings, challenges, self._expected), looked.offset)

    def _is_last_resort(self, offset: int) -> bool:
        """By the CA's clock: this host's may be wrong, and the danger not there yet, or there for a while."""
        status = self._tools.catalogue.status(self._certificate.name)
        return status.installed is not None and status.endangered(clock.now() + offset * clock.SECOND)

    @property
    def _expected(self) -> dict[Identifier, ChallengeType]:
        return types_for(self._tools.catalogue.configuration, self._certificate, self._certificate.identifiers)

    def _judge(self, found: list[Finding], offset: int) -> None:
        """The CA may see another DNS than this host does: rather than that what is installed runs out, it finds out for
        itself. But where the clock is so wrong that an order would be in vain or too much, it is one in danger too.
        """
        wrong = [finding for finding in found if finding.severity == ERROR]
        if problems := _together(wrong):
            if any(finding.check == _CLOCK for finding in wrong) or not self._is_last_resort(offset):
                raise Failure(errors.PREFLIGHT_FAILED, problems)
            journal.warning("Preflight: %s. It is ordered all the same, as it is in danger", problems)
            self._job.remark(f"ordered although the preflight failed, as it is in danger: {problems}")
        warnings = [finding for finding in found if finding.severity == WARNING]
        for finding in warnings:
            journal.warning("Preflight (%s): %s", finding.check, finding)
        if warnings:
            self._job.report(self._job.step, self._job.progress, detail=_together(warnings))


def _together(found: Iterable[Finding]) -> str:
    """In words, each message once."""
    subjects: defaultdict[str, list[str]] = defaultdict(list)
    for finding in found:
        subjects[finding.message].append(finding.subject)
    return "; ".join(f"{', '.join(some)}: {message}" for message, some in subjects.items())


def relevant(
    found: Iterable[Finding], challenges: Iterable[Challenge], expected: Mapping[Identifier, ChallengeType]
) -> list[Finding]:
    """Those about challenges that are to be answered, and about none of them in particular. What was looked at is what
    was expected: about a name that is valid at the CA, or is to be validated otherwise, it says nothing.
    """
    asked = {one.name for one in challenges if expected.get(one.ordered) is one.type}
    others = {identifier.value for identifier in expected} - asked
    return [finding for finding in found if finding.subject not in others]


async def look(tools: Tools, certificate: Certificate, account: Account, job: int, fresh: bool = False) -> Looked:
    """The CA's clock, and then DNS, which is to allow the CA by its name. fresh: the CA is asked although it may have
    told lately what it says of itself; an order asks it at once for something else, and finds out by that.
    """
    types = types_for(tools.catalogue.configuration, certificate, certificate.identifiers)
    looked_at = {identifier: kind for identifier, kind in types.items() if kind is not ChallengeType.NONE}
    if looked_at:
        await tools.daemons.warm(DNSD)
    timeout = TIMEOUT + account.deadlines.request
    try:
        directory = await tools.daemons.client("Directory", timeout=timeout, job=job, account=account.name, fresh=fresh)
    except Failure as failure:
        issuers: list[str] = []
        offset = 0
        found = [Finding(_DIRECTORY, account.name, WARNING, f"The CA cannot be asked: {failure.message}")]
    else:
        issuers, offset = directory["caaIdentities"], directory["clockOffset"]
        installed = tools.catalogue.status(certificate.name).ordered
        lifetime = (installed.not_after - installed.not_before) // clock.SECOND if installed else None
        found = [Finding(_CLOCK, account.name, *skew.judged(offset, lifetime))]
    if not looked_at:
        return Looked(found, offset)
    try:
        answer = await tools.daemons.dns(
            "Check",
            timeout=TIMEOUT,
            job=job,
            certificate=certificate.name,
            identifiers=[{"type": one.type, "value": one.value} for one in looked_at],
            types=[kind.value for kind in looked_at.values()],
            issuers=issuers,
            account=account.uri or "",
        )
    except Failure as failure:
        message = f"DNS was not looked at: {failure.message}"
        is_late = failure.name == errors.TIMED_OUT  # a change of DNS has more time
        vain = [one for one, kind in looked_at.items() if kind in _SET_FOR_EACH and not is_late]
        found += [Finding(_DNS, one.value, ERROR, message) for one in vain]
        found += [] if len(vain) == len(looked_at) else [Finding(_DNS, account.name, WARNING, message)]
        return Looked(found, offset)
    believed = map(_believed, answer["findings"])
    issuer = next(filter(is_issuer, map(str.lower, issuers)), account.origin[1])

    async def settled(finding: Finding) -> Finding:
        """A lasting record that is missing stops no order that can set it."""
        if finding.check != _RECORDS or finding.severity != ERROR:
            return finding
        name = finding.subject.removeprefix("*.")
        wildcard = f"*.{name}" in map(str, looked_at)  # whose record is good for the name too
        try:
            to_do = await dns.why_not_settable(tools, account, job, certificate.name, name, issuer, wildcard)
        except Failure:
            return finding  # which has the reason
        if to_do:
            return replace(finding, message=f"{finding.message}. {to_do}")
        return replace(finding, severity=WARNING, message=f"{finding.message}; an order sets it")

    return Looked([*found, *await asyncio.gather(*map(settled, believed))], offset)


def _believed(finding: Mapping[str, str]) -> Finding:
    """acme-dnsd reads what the network sends."""
    severity = finding["severity"] if finding["severity"] in (OK, WARNING, ERROR) else WARNING
    check, subject, message = (journal.printable(finding[key]) for key in ("check", "subject", "message"))
    return Finding(check, subject, severity, message)
