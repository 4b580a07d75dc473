# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an order would meet, for whoever asks: the preflight at all of a certificate's accounts, ports, and limits."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from acmed import journal
from acmed.config import Account, Certificate
from acmed.config.model import ChallengeType, Http01Mode
from acmed.manager.challenges import types_for
from acmed.manager.errors import Failure
from acmed.manager.limits import counting
from acmed.manager.tools import Tools
from acmed.manager.ways.preflight import ERROR, OK, TIMEOUT, WARNING, Finding, look
from acmed.names import Identifier

_PORTS = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)
_PORT, _LIMIT = "port", "limit"


async def findings(tools: Tools, certificate: Certificate, accounts: Sequence[Account]) -> list[Finding]:
    """All of it, at each of the certificate's accounts, for whoever asks; nothing is ordered."""
    types = types_for(tools.catalogue.configuration, certificate, certificate.identifiers)
    ports = asyncio.gather(*(_port(tools, certificate, kind) for kind in _PORTS if _needs(kind, types, tools)))
    looks = asyncio.gather(*(look(tools, certificate, account, job=0, fresh=True) for account in accounts))
    found, ways = await asyncio.gather(looks, ports)
    found_at = [
        [_limit(tools, certificate, account), *looked.findings] for account, looked in zip(accounts, found, strict=True)
    ]
    return [*_of_all(found_at, accounts), *ways]


def _of_all(found_at: Sequence[Sequence[Finding]], accounts: Sequence[Account]) -> list[Finding]:
    """What was found at each account: what is the same at all is told once, and of the rest where it is so. What is an
    error only where an order comes after a failure is a warning, as it stops none.
    """
    everywhere = set(found_at[0]).intersection(*found_at)
    found = [one for one in found_at[0] if one in everywhere]
    for number, account in enumerate(accounts):
        for one in found_at[number]:
            if one not in everywhere:
                message = one.message if one.subject == account.name else f"account {account.name}: {one.message}"
                severity = WARNING if number and one.severity == ERROR else one.severity
                found.append(replace(one, severity=severity, message=message))
    return found


def _limit(tools: Tools, certificate: Certificate, account: Account) -> Finding:
    counts = counting.expected(tools.catalogue, certificate, account)
    try:
        tools.limiter.check(account, certificate.identifiers, counts, certificate.name)
    except Failure as failure:
        return Finding(_LIMIT, account.name, ERROR, failure.message)
    return Finding(_LIMIT, account.name, OK, "no known limit is in the way of a new order")


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
            "ProbeChallenge", timeout=TIMEOUT, job=0, certificate=certificate.name, type=kind.value
        )
    except Failure as failure:
        return Finding(_PORT, kind.value, WARNING, failure.message)
    if answer["problem"]:
        return Finding(_PORT, kind.value, ERROR, journal.printable(answer["problem"]))
    return Finding(_PORT, kind.value, OK, f"answers to {kind} can be made reachable")
