# SPDX-License-Identifier: LGPL-2.1-or-later
"""TXT records: dns-01 (RFC 8555 section 8.4), dns-account-01 (draft-ietf-acme-dns-account-label) and dns-persist-01
(draft-ietf-acme-dns-persist), whose record stays.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from acmed import base64url
from acmed.config import Account
from acmed.config.model import ChallengeType
from acmed.manager import errors
from acmed.manager.challenges.calls import to_the_end
from acmed.manager.challenges.offer import Challenge
from acmed.manager.challenges.record import Asker, remember
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.known.state import PUBLISH, UPDATE, Presented
from acmed.manager.tools import Tools

# Seconds. acme-dnsd has deadlines of its own, for each server.
LOOKUP_TIMEOUT = 120.0
CHANGE_TIMEOUT = 180.0
_MARGIN = 60.0
_TURN = 300.0  # for the other orders that change the same zone

_LASTING = ChallengeType.DNS_PERSIST_01.value


@dataclass(frozen=True)
class _Placed:
    """A record, and where it belongs. zone: that of the configuration which is for it, or the one of DNS where there is
    none. method: as acme-dnsd says.
    """

    record: dict[str, str]
    name: str
    zone: str
    method: str


async def present(job: Job, tools: Tools, account: Account, challenges: Sequence[Challenge]) -> None:
    """Publishes the records, and returns when the CA can see them. Raises Failure."""
    passing = [one for one in challenges if one.type is not ChallengeType.DNS_PERSIST_01]
    records = [_record(one.base.value, one.type, account, validation(one.key_authorization)) for one in passing]
    records += await _missing(job, tools, account, [one for one in challenges if one not in passing])
    if not records:
        return
    answer = await tools.daemons.dns("Find", timeout=LOOKUP_TIMEOUT, job=job.id, certificate=job.name, records=records)
    placed = [_placed(tools, place) for place in answer["places"]]
    _check(placed)
    remember(job, [_presented(one) for one in placed if one.record["type"] != _LASTING], durable=True)
    await to_the_end([*_updates(job, tools, placed), *_publications(job, tools, placed)])
    await _seen(job, tools, account, records)


def validation(key_authorization: str) -> str:
    """The record's text (RFC 8555 section 8.4)."""
    return base64url.encode(hashlib.sha256(key_authorization.encode()).digest())


def lasting(issuer: str, account: Account, wildcard: bool) -> str:
    """The text of the record of dns-persist-01 that lets an account of an issuer have certificates. Raises Failure."""
    return f"{issuer}; accounturi={_uri(account)}" + ("; policy=wildcard" if wildcard else "")


async def why_not_settable(
    tools: Tools, account: Account, job: int, certificate: str, identifier: str, issuer: str, wildcard: bool
) -> str:
    """What is to be done before an order for the record of dns-persist-01 of a name, empty where the order sets it.
    identifier: without "*.". Raises Failure.
    """
    record = _record(identifier, ChallengeType.DNS_PERSIST_01, account, lasting(issuer, account, wildcard))
    answer = await tools.daemons.dns("Find", timeout=LOOKUP_TIMEOUT, job=job, certificate=certificate, records=[record])
    return "; ".join(_to_do(one) for place in answer["places"] if (one := _placed(tools, place)).method == "none")


async def remove(asker: Asker, tools: Tools, zone: str, presented: Iterable[Presented]) -> None:
    """Has acme-dnsd remove records of a zone. Raises Failure."""
    records = [
        {"identifier": one.identifier, "type": one.type, "account": one.account, "value": one.value}
        for one in presented
    ]
    await tools.daemons.dns("Remove", timeout=CHANGE_TIMEOUT, job=asker.id, certificate=asker.name, records=records)


async def withdraw(asker: Asker, tools: Tools, presented: Iterable[Presented]) -> None:
    """Has acme-privd clear records that it has set, of one zone. Raises Failure."""
    for one in presented:
        await _privd(asker, tools, "WithdrawRecord", one.zone, one.name, one.value)


def _record(identifier: str, kind: ChallengeType, account: Account, value: str) -> dict[str, str]:
    return {"identifier": identifier, "type": kind.value, "account": _uri(account), "value": value}


def _uri(account: Account) -> str:
    if account.uri is None:
        raise Failure(errors.NO_SUCH_ACCOUNT, f"Account '{account.name}' has no URL yet: add it again")
    return account.uri


async def _missing(job: Job, tools: Tools, account: Account, challenges: Sequence[Challenge]) -> list[dict[str, str]]:
    """The lasting records that are not there yet, one for each name: that of a wildcard is good for the name too."""
    if not challenges:
        return []
    answer = await tools.daemons.dns(
        "Check",
        timeout=LOOKUP_TIMEOUT,
        job=job.id,
        certificate=job.name,
        identifiers=[{"type": one.ordered.type, "value": one.name} for one in challenges],
        types=[_LASTING] * len(challenges),
        issuers=sorted({issuer for one in challenges for issuer in one.issuers}),
        account=_uri(account),
    )
    wrong = {
        finding["subject"]
        for finding in answer["findings"]
        if finding["check"] == "records" and finding["severity"] == "error"
    }
    missing: dict[str, dict[str, str]] = {}
    for one in sorted(challenges, key=lambda one: one.wildcard):
        if one.name in wrong:
            value = lasting(one.issuers[0], account, one.wildcard)
            missing[one.base.value] = _record(one.base.value, one.type, account, value)
    return list(missing.values())


def _placed(tools: Tools, place: dict[str, Any]) -> _Placed:
    settings = tools.catalogue.configuration.zone_above(place["zone"])
    return _Placed(place["record"], place["name"], settings.name if settings else place["zone"], place["method"])


def _check(placed: Iterable[_Placed]) -> None:
    """Raises Failure with what to do where a record cannot be set from here."""
    problems = [_to_do(one) for one in placed if one.method == "none"]
    if problems:
        raise Failure(errors.CHALLENGE_UNAVAILABLE, "; ".join(problems))


def _to_do(one: _Placed) -> str:
    return (
        f"{one.record['identifier']} is validated by {one.record['type']}: "
        f'{one.name} TXT "{one.record["value"]}" is to be set, and nothing in the configuration says how. Add '
        f"[zone.{one.zone}] to acmed.toml (server and key, a hook, or a local zone), or a CNAME at that name "
        "to a zone that is there" + ("; or set it by hand, once and for all" if one.record["type"] == _LASTING else "")
    )


def _presented(one: _Placed) -> Presented:
    record = one.record
    how = UPDATE if one.method == UPDATE else PUBLISH
    return Presented(record["type"], record["identifier"], how, record["value"], record["account"], one.zone, one.name)


def _updates(job: Job, tools: Tools, placed: Iterable[_Placed]) -> list[Any]:
    """The call for acme-dnsd, if there is anything for it."""
    records = [one.record for one in placed if one.method == UPDATE]
    if not records:
        return []
    return [tools.daemons.dns("Present", timeout=CHANGE_TIMEOUT, job=job.id, certificate=job.name, records=records)]


def _publications(job: Job, tools: Tools, placed: Iterable[_Placed]) -> list[Any]:
    """The calls for acme-privd, those of a zone one after the other: it has one file, or one provider."""
    zones: dict[str, list[_Placed]] = {}
    for one in placed:
        if one.method != UPDATE:
            zones.setdefault(one.zone, []).append(one)

    async def publish(several: list[_Placed]) -> None:
        for one in several:
            await _privd(job, tools, "PublishRecord", one.zone, one.name, one.record["value"])

    return [publish(several) for several in zones.values()]


async def _privd(asker: Asker, tools: Tools, method: str, zone: str, name: str, value: str) -> None:
    settings = tools.catalogue.configuration.zones.get(zone)
    timeout = _TURN + (settings.timeout if settings else 0)
    await tools.daemons.priv(
        method, timeout=timeout, job=asker.id, certificate=asker.name, zone=zone, name=name, value=value
    )


async def _seen(job: Job, tools: Tools, account: Account, records: list[dict[str, str]]) -> None:
    """Waits until every server answers them, and tells which one lags."""
    deadline = account.deadlines.propagation
    job.report("challenge", 30, detail="waiting for the name servers", within=deadline)
    replies = tools.daemons.dns_more(
        "Wait", timeout=deadline + _MARGIN, job=job.id, certificate=job.name, records=records, deadline=deadline
    )
    async with aclosing(replies):
        async for reply in replies:
            if reply["done"]:
                return
            job.report("challenge", 30, detail=reply["detail"])
    raise Failure(errors.UNAVAILABLE, "acme-dnsd ended the wait for the name servers without an answer")
