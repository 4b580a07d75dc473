# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed itself keeps to at each CA, so that no loop can ever use up a limit there: [account.NAME.limits].

Counted is what came to pass: orders that the CA has made, certificates, and authorizations that failed. It is kept in
limits/ACCOUNT.json: seconds since the epoch, by what is counted and what about.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from acmed.config import Account
from acmed.config.model import Limits, Rate
from acmed.manager import clock, errors, jsonfile
from acmed.manager.counting import Counts
from acmed.manager.errors import Failure
from acmed.names import Identifier
from acmed.varlink.idl import parse

_SCHEMA = parse(
    """
interface org.acmed.Limits
type Events (orders: [string][]int, certificates: [string][]int, duplicates: [string][]int,
  failures: [string][]int)
"""
)

# By kind (the names of Limits), then by what it is about: "" for the account as a whole.
_Events = dict[str, dict[str, list[int]]]
_IPV6_NETWORK = 64  # bits; Let's Encrypt counts an IPv6 address as its network


class Limiter:
    """What happened at each CA, of which what is past is forgotten. identifiers: those of one order."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "limits"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._known: dict[str, _Events] = {}

    def check(self, account: Account, identifiers: Collection[Identifier], counts: Counts) -> None:
        """Raises Failure RateLimited where a new order would go over a limit."""
        limits, now = account.limits, int(time.time())
        for kind, rate, subject, words in _limits(limits, identifiers, counts):
            times = _within(self._events(account).get(kind, {}).get(subject, []), rate, now)
            if len(times) >= rate.count:
                raise _limited(account, rate, words, times[-rate.count] + rate.seconds - now, now)

    def ordered(self, account: Account, counts: Counts) -> None:
        """The CA has made an order."""
        if "orders" in counts.value:
            self._count(account, "orders", [""])

    def issued(self, account: Account, identifiers: Collection[Identifier], counts: Counts) -> None:
        """The CA has issued a certificate."""
        if "certificates" in counts.value and account.limits.certificates:
            self._count(account, "certificates", registered(identifiers))
        if "duplicates" in counts.value:
            self._count(account, "duplicates", [exact(identifiers)])

    def failed(self, account: Account, identifiers: Iterable[Identifier]) -> None:
        """The CA could not validate these."""
        self._count(account, "failures", sorted(map(_plain, identifiers)))

    def _count(self, account: Account, kind: str, subjects: Iterable[str]) -> None:
        rate: Rate | None = getattr(account.limits, kind)
        if rate is None:
            return
        now, events = int(time.time()), self._events(account)
        for subject in subjects:
            events.setdefault(kind, {}).setdefault(subject, []).append(now)
        jsonfile.cache(self._directory / f"{account.name}.json", self._pruned(account, now))

    def _pruned(self, account: Account, now: int) -> _Events:
        """Forgets what no limit looks at any more."""
        kept: _Events = {}
        for kind in asdict(Limits()):
            rate: Rate | None = getattr(account.limits, kind)
            counted = self._events(account).get(kind, {}) if rate else {}
            times = {subject: _within(counted[subject], rate, now)[-rate.count :] for subject in counted if rate}
            kept[kind] = {subject: some for subject, some in times.items() if some}
        self._known[account.name] = kept
        return kept

    def _events(self, account: Account) -> _Events:
        if account.name not in self._known:
            self._known[account.name] = jsonfile.read(self._directory / f"{account.name}.json", _decode) or {}
        return self._known[account.name]


def _limits(
    limits: Limits, identifiers: Collection[Identifier], counts: Counts
) -> Iterator[tuple[str, Rate, str, str]]:
    """Each limit that an order comes under: its kind, rate, subject, and what it counts, for people."""
    if limits.failures:
        for identifier in sorted(set(map(_plain, identifiers))):
            yield "failures", limits.failures, identifier, f"failed validations of {identifier}"
    if limits.orders and "orders" in counts.value:
        yield "orders", limits.orders, "", "orders"
    if limits.certificates and "certificates" in counts.value:
        for domain in registered(identifiers):
            yield "certificates", limits.certificates, domain, f"certificates for {domain} and names below it"
    if limits.duplicates and "duplicates" in counts.value:
        yield "duplicates", limits.duplicates, exact(identifiers), "certificates for exactly these names"


def registered(identifiers: Iterable[Identifier]) -> list[str]:
    """What Let's Encrypt counts certificates by: the registered domain of a name, an IPv4 address, the network of an
    IPv6 address.
    """
    return sorted({_domain(one.value) if one.type == "dns" else _network(one.value) for one in identifiers})


def exact(identifiers: Iterable[Identifier]) -> str:
    """A set of identifiers, in few characters."""
    return hashlib.sha256(",".join(sorted(map(str, identifiers))).encode()).hexdigest()[:32]


def _plain(identifier: Identifier) -> str:
    """What is validated: a wildcard by the name under it."""
    return identifier.value.removeprefix("*.")


def _network(address: str) -> str:
    from ipaddress import IPv4Address, ip_address, ip_network  # noqa: PLC0415  few certificates have one

    found = ip_address(address)
    return address if isinstance(found, IPv4Address) else str(ip_network((found, _IPV6_NETWORK), strict=False))


def _domain(name: str) -> str:
    """The name right below the longest public suffix; one that is a suffix itself counts as such."""
    plain = name.removeprefix("*.")
    # A top-level domain that is not in the list is a public suffix too (publicsuffix.org/list, "*").
    return _suffixes().get_sld(plain, strict=True) or ".".join(plain.split(".")[-2:])


@cache
def _suffixes() -> Any:
    # Reads a list of ten thousand, for which only accounts with such a limit have a use.
    from publicsuffix2 import PublicSuffixList  # noqa: PLC0415

    return PublicSuffixList()


def _within(times: Iterable[int], rate: Rate, now: int) -> list[int]:
    """Those that count now, oldest first. A clock that was set back makes none of them last longer."""
    return sorted(moment for moment in times if now - rate.seconds < moment <= now)


def _limited(account: Account, rate: Rate, words: str, wait: int, now: int) -> Failure:
    until = clock.text((now + wait) * clock.SECOND)
    period = f"{rate.seconds // 3600} h" if rate.seconds % 3600 == 0 else f"{rate.seconds} s"
    return Failure(
        errors.RATE_LIMITED,
        f"acmed keeps to a limit of account '{account.name}': {rate.count} {words} in {period}; not before {until}",
        wait,
    )


def _decode(data: dict[str, Any]) -> _Events:
    _SCHEMA.check(data, _SCHEMA.types["Events"])
    return data
