# SPDX-License-Identifier: LGPL-2.1-or-later
"""The DNS records that an admin publishes once and for all, so that a CA can validate a certificate's names."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from acmed.config import Account, Certificate
from acmed.config.model import ChallengeType
from acmed.manager import clock
from acmed.manager.challenges import types_for
from acmed.manager.challenges.dns import lasting as lasting_text
from acmed.manager.challenges.offer import is_issuer
from acmed.manager.tools import Tools
from acmed.names import Identifier

# Seconds. acmectl waits for 25.
_TIMEOUT = 20.0
_TTL = 3600
# How long it is believed how a CA is called in DNS.
_FRESH = clock.DAY


@dataclass(frozen=True)
class Record:
    """type: TXT or CNAME. ttl: seconds. name, and the value of a CNAME, have no final dot."""

    name: str
    type: str
    value: str
    ttl: int


async def lasting(tools: Tools, certificate: Certificate) -> list[Record]:
    """For names that are validated by dns-persist-01: the record. For those whose record changes with each order, in
    zones that nothing here can set records in: a CNAME into one that is configured. Raises Failure.
    """
    kinds = types_for(tools.catalogue.configuration, certificate, certificate.identifiers)
    persistent = [one for one, kind in kinds.items() if kind is ChallengeType.DNS_PERSIST_01]
    accounts = [tools.catalogue.configuration.accounts[name] for name in certificate.accounts]
    found = []
    for account in accounts if persistent else ():
        found += _persistent(tools, account, await _issuer(tools, account), persistent)
    for identifier, kind in kinds.items():
        if kind in (ChallengeType.DNS_01, ChallengeType.DNS_ACCOUNT_01):
            found += _delegation(tools, identifier, kind, accounts)
    return list(dict.fromkeys(found))


def _persistent(tools: Tools, account: Account, issuer: str, identifiers: Iterable[Identifier]) -> list[Record]:
    """One for each name; that of a wildcard is good for the name too."""
    wildcards: dict[str, bool] = {}
    for identifier in identifiers:
        name = identifier.value.removeprefix("*.")
        wildcards[name] = wildcards.get(name, False) or identifier.value != name
    return [
        Record(f"_validation-persist.{name}", "TXT", lasting_text(issuer, account, wildcard), _ttl(tools, name))
        for name, wildcard in wildcards.items()
    ]


def _delegation(tools: Tools, identifier: Identifier, kind: ChallengeType, accounts: Iterable[Account]) -> list[Record]:
    configuration = tools.catalogue.configuration
    name = identifier.value.removeprefix("*.")
    if configuration.zone_above(name) or not configuration.zones:
        return []
    zone = sorted(configuration.zones)[0]
    labels = ["_acme-challenge"]
    if kind is ChallengeType.DNS_ACCOUNT_01:
        labels = [f"{_label(account.uri)}._acme-challenge" for account in accounts if account.uri]
    return [Record(f"{label}.{name}", "CNAME", f"{label}.{name}.{zone}", _TTL) for label in labels]


def _label(uri: str) -> str:
    """draft-ietf-acme-dns-account-label: base32 of the first ten octets of the SHA-256 of the account's URL."""
    return "_" + base64.b32encode(hashlib.sha256(uri.encode()).digest()[:10]).decode().lower()


def _ttl(tools: Tools, name: str) -> int:
    zone = tools.catalogue.configuration.zone_above(name)
    return zone.ttl if zone else _TTL


async def _issuer(tools: Tools, account: Account) -> str:
    """How the account's CA is called in DNS; its own host's name where it does not say."""
    state, now = tools.catalogue.account(account.name), clock.now()
    if not (state.issuers and state.issuers_time <= now < state.issuers_time + _FRESH):
        answer = await tools.daemons.client("Directory", timeout=_TIMEOUT, job=0, account=account.name)
        state = replace(
            state, issuers=tuple(filter(is_issuer, map(str.lower, answer["caaIdentities"]))), issuers_time=now
        )
        tools.catalogue.save_account(account.name, state)
    return state.issuers[0] if state.issuers else account.origin[1]
