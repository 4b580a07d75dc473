# SPDX-License-Identifier: LGPL-2.1-or-later
"""The preflight: what a CA would find in DNS if it validated now. Changes nothing."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

import dns.name
from dns.rdatatype import CAA, TXT

from acmed.config.model import ChallengeType, Configuration, ZoneMethod
from acmed.dnsd import caa, persist
from acmed.dnsd.authority import servers_of, texts
from acmed.dnsd.errors import DnsError, LookupFailed
from acmed.dnsd.places import Place, find, table
from acmed.dnsd.reach import is_local
from acmed.dnsd.records import NoRecord, record
from acmed.dnsd.resolver import Resolver, plain, rrset
from acmed.dnsd.transport import TIMEOUT, NoAnswer, Server, Transport, together
from acmed.dnsd.update import Updater
from acmed.names import Identifier

_OVER_TCP = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)
_OVER_DNS = (ChallengeType.DNS_01, ChallengeType.DNS_ACCOUNT_01)
_ANY_DIGEST = "A" * 43

# What a CA that meets the same will do, by check. About CAA it has to know, also that there is none (RFC 8659).
_FOR_A_CA = {"resolve": "cannot connect", "records": "cannot validate", "caa": "may not issue"}


@dataclass(frozen=True)
class Finding:
    """severity: ok, warning or error."""

    check: str
    subject: str
    severity: str
    message: str


@dataclass(frozen=True)
class Asked:
    """An identifier, how it is to be validated, and by whom. issuers: empty where the CA does not say."""

    identifier: Identifier
    type: ChallengeType
    issuers: Collection[str]
    account: str

    @property
    def base(self) -> str:
        return self.identifier.value.removeprefix("*.")

    @property
    def wildcard(self) -> bool:
        return self.identifier.value.startswith("*.")

    def finding(self, check: str, severity: str, message: str) -> Finding:
        return Finding(check, self.identifier.value, severity, message)


Outcome = tuple[str, str]  # severity and message
Check = Callable[[Asked], Awaitable[Outcome]]


class Preflight:
    """One preflight. What DNS answers is a finding, and never raised."""

    def __init__(
        self, transport: Transport, resolver: Resolver, updater: Updater, configuration: Configuration
    ) -> None:
        self._transport = transport
        self._resolver = resolver
        self._updater = updater
        self._configuration = configuration

    async def run(self, asked: Iterable[Asked]) -> list[Finding]:
        """All findings, identifier by identifier."""
        findings = await together(self._one(item) for item in asked)
        return [finding for some in findings for finding in some]

    async def _one(self, asked: Asked) -> list[Finding]:
        checks = []
        if asked.type in _OVER_TCP:
            checks.append(("resolve", self._resolve))
        elif asked.type in _OVER_DNS:
            checks.append(("update", self._update))
        elif asked.type is ChallengeType.DNS_PERSIST_01:
            checks.append(("records", self._records))
        if asked.identifier.type == "dns":
            checks.append(("caa", self._caa))

        async def outcome(name: str, check: Check) -> Finding:
            try:
                return asked.finding(name, *await check(asked))
            except DnsError as error:
                # The CA has a resolver of its own; but without one here, no record can be set.
                if isinstance(error, LookupFailed) and error.unanswered and name in _FOR_A_CA:
                    return asked.finding(name, "warning", f"{error}; if the CA meets the same, it {_FOR_A_CA[name]}")
                return asked.finding(name, "error", str(error))

        return await together(outcome(name, check) for name, check in checks)

    async def _resolve(self, asked: Asked) -> Outcome:
        if asked.identifier.type == "ip":
            addresses = [asked.identifier.value]
        else:
            name = dns.name.from_text(asked.base + ".")
            addresses = await self._resolver.addresses(name)
            if not addresses:
                missing = await self._resolver.is_missing(name)
                what = "DNS has no such name (NXDOMAIN)" if missing else "it has no address (no A or AAAA record)"
                return "error", f"{what}; a CA cannot connect to it"
        foreign = [address for address in addresses if not is_local(address)]
        if foreign:
            message = f"{', '.join(foreign)} is not an address of this host; a CA connects there"
            return "warning", f"{message}, so that must be passed on to here"
        return "ok", f"{', '.join(addresses)}: of this host"

    async def _update(self, asked: Asked) -> Outcome:
        place = await self._place(asked, _ANY_DIGEST)
        zone, settings = plain(place.soa.zone), place.settings
        if settings is None:
            return "error", f"no [zone] of the configuration is for the zone {zone}, which {plain(place.name)} is in"
        if settings.method is not ZoneMethod.UPDATE:
            return "ok", f"{plain(place.name)} is in the zone {zone}, and set there by its method, {settings.method}"
        await self._updater.probe(place, self._resolver)
        if settings.key is None:
            message = f"the zone {zone} takes updates from this host's address without a key: so it does from any host"
            return "warning", f"{message} that forges the address; set key in {table(settings)}"
        return "ok", f"the zone {zone} takes updates of {plain(place.name)} with the key {settings.key}"

    async def _records(self, asked: Asked) -> Outcome:
        """At each of the zone's servers: a CA may ask any of them. Where none answers, the resolver counts."""
        place = await self._place(asked, "issuer.invalid")
        servers = await servers_of(place.soa.zone, self._resolver, self._transport.port)

        def wrong_with(values: frozenset[bytes]) -> str:
            return persist.fault(values, asked.issuers, asked.account, asked.wildcard, time.time())

        async def fault(server: Server) -> Outcome:
            try:
                wrong = wrong_with(await texts(self._transport, server, place.name, TIMEOUT))
            except NoAnswer as reason:
                return "warning", f"{server} {reason}"
            return ("error", f"{server}: {wrong}") if wrong else ("ok", "")

        faults = await together(fault(server) for server in servers.found)
        wrong, silent = ([message for found, message in faults if found == kind] for kind in ("error", "warning"))
        if not wrong and not silent:
            return "ok", f"{plain(place.name)} lets the account have the name"
        message = f"the record of {plain(place.name)}: {'; '.join(wrong or silent)}"
        if wrong or len(silent) < len(faults):
            return "error" if wrong else "warning", message
        known = await self._known(place.name)
        if known is None:
            return "warning", message
        if reason := wrong_with(known):
            return "error", f"{message}; by the resolver: {reason}"
        return "warning", f"{message}; the resolver has it"

    async def _known(self, name: dns.name.Name) -> frozenset[bytes] | None:
        """The values of a name's TXT records by the resolver, which may go on saying that there are none when they have
        been set: only where nobody else answers. None where it has no answer.
        """
        try:
            answer = await self._resolver.answer(name, TXT)
        except LookupFailed:
            return None
        return frozenset(b"".join(record.strings) for record in rrset(answer, name, TXT) or ())

    async def _caa(self, asked: Asked) -> Outcome:
        """The climb of RFC 8659 section 3."""
        name = dns.name.from_text(asked.base + ".")
        while name != dns.name.root:
            answer = await self._resolver.answer(name, CAA)
            records = [
                caa.Property(record.flags, record.tag.decode("latin-1"), record.value.decode("latin-1"))
                for found in answer.answer
                if found.rdtype == CAA
                for record in found
            ]
            if records:
                return _allowed(plain(name), records, asked)
            name = name.parent()
        return "ok", "there are no CAA records: any CA may issue"

    async def _place(self, asked: Asked, value: str) -> Place:
        fields = {"identifier": asked.base, "type": asked.type.value, "account": asked.account, "value": value}
        try:
            return await find(record(fields), self._resolver, self._configuration)
        except NoRecord:
            raise LookupFailed(asked.base, f"{asked.base} is too long for a record of {asked.type}") from None


def _allowed(name: str, records: list[caa.Property], asked: Asked) -> Outcome:
    """What the CAA records of that name say."""
    if not asked.issuers:
        return "ok", f"the CAA records of {name} cannot be judged: the CA does not say by which domain they name it"
    method = None if asked.type is ChallengeType.NONE else asked.type.value
    reason = caa.refusal(records, caa.Wanted(asked.wildcard, asked.issuers, asked.account, method))
    return ("error", f"the CAA records of {name} forbid it: {reason}") if reason else ("ok", f"CAA of {name} allows it")
