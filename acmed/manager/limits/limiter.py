# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed itself keeps to at each CA, so that no loop can ever use up a limit there: [account.NAME.limits].

An order counts for all that it may lead to from before the CA is asked for it: for itself, for its certificate, and for
a failed validation of each of its names. What certainly does not come to pass is given back. Where nobody knows, as an
answer was lost or acmed was killed, it stays counted.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from acmed.config import Account
from acmed.config.model import Limits, Rate
from acmed.manager import clock, errors
from acmed.manager.errors import Failure
from acmed.manager.limits.counted import Counted, Held, read, within
from acmed.manager.limits.counting import Counts
from acmed.manager.limits.subjects import exact, plain, registered
from acmed.names import Identifier

_Item = tuple[str, str]  # kind (the names of Limits), and what it is about
_ORDER = ("orders", "")
# Seconds after which what the CA was asked for has come to pass or been given back, unless nobody will ever know. Where
# it is what may not come to pass that is in the way, the next look is then.
_SETTLED = 600


class Limiter:
    """What is counted at each CA. identifiers: those of one order. name: that of the certificate, or of what is
    authorized, which has one order at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "limits"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._known: dict[str, Counted] = {}

    def check(self, account: Account, identifiers: Collection[Identifier], counts: Counts, name: str = "") -> None:
        """Raises Failure RateLimited where a new order would go over a limit. What name has under way itself is not in
        its way, as its next attempt goes on with that.
        """
        now, counted = int(time.time()), self._counted(account)
        under_way = counted.under_way(but=name)
        for kind, rate, subject, words in _limits(account.limits, identifiers, counts):
            begun = under_way.get((kind, subject), [])
            passed = counted.times.get(kind, {}).get(subject, [])
            times = within([*passed, *(one.since for one in begun)], rate, now)
            if len(times) >= rate.count:
                what = f"{rate.count} {words} in {_period(rate)}" + (", with what is under way" if begun else "")
                wait = times[-rate.count] + rate.seconds - now
                settled = [one.since for one in begun if one.asked and one.since <= now - _SETTLED]
                is_sure = len(within([*passed, *settled], rate, now)) >= rate.count
                raise _limited(account, what, wait if is_sure else min(wait, _SETTLED), now)

    def reserve(
        self, account: Account, name: str, identifiers: Collection[Identifier], counts: Counts
    ) -> "Reservation":
        """Counts a new order, which the CA is asked for next. Raises as check()."""
        self.over(account, name)
        self.check(account, identifiers, counts)
        return Reservation(self._counted(account), account, name, _items(account, identifiers, counts), "orders")

    def made(self, account: Account, name: str, identifiers: Collection[Identifier], counts: Counts) -> "Reservation":
        """What an order counts for that the CA has, whatever the limits are. What is counted of it already stays so."""
        items = _items(account, identifiers, counts) - {_ORDER}  # that was counted when it was made
        self.over(account, name, items)
        return Reservation(self._counted(account), account, name, items)

    def over(self, account: Account, name: str, but: Collection[_Item] = ()) -> None:
        """An order has ended that acmed did not see the end of: what the CA was asked for stays counted."""
        counted = self._counted(account)
        left = [one for one in counted.held.get(name, []) if (one.kind, one.subject) not in but]
        for one in left:
            counted.held[name].remove(one)
            if one.asked:
                counted.add(one.kind, one.subject, one.since)
        if left:
            counted.write(account.limits)

    def _counted(self, account: Account) -> Counted:
        if account.name not in self._known:
            self._known[account.name] = read(self._directory / f"{account.name}.json")
        counted = self._known[account.name]
        if counted.set_right(int(time.time())):
            counted.write(account.limits)
        return counted


class Reservation:
    """What one order counts for, until it is known what comes of it. As a context it gives back, at a failure, what the
    CA was not asked for yet; what is left then is for the next run to settle.
    """

    def __init__(self, counted: Counted, account: Account, name: str, items: Iterable[_Item], *asked: str) -> None:
        self._counted = counted
        self._limits = account.limits
        self._name = name
        self._open = set(items)
        new = self._open - {(one.kind, one.subject) for one in self._held}
        added = [Held(*item, int(time.time()), item[0] in asked) for item in sorted(new)]
        self._become([*self._held, *added], durable=True)

    def asked(self, *kinds: str) -> None:
        """The CA is asked for that next."""
        self._become([replace(one, asked=one.asked or one.kind in kinds) for one in self._held])

    def keep(self, *kinds: str, subjects: Collection[str] | None = None) -> None:
        """That came to pass, for some subjects or for all: it counts from now on."""
        kept = {one for one in self._open if one[0] in kinds and (subjects is None or one[1] in subjects)}
        self._open -= kept
        for kind, subject in sorted(kept):
            self._counted.add(kind, subject, int(time.time()))
        self._become([one for one in self._held if (one.kind, one.subject) not in kept], changed=bool(kept))

    def give_back(self, *kinds: str) -> None:
        """That did not come to pass; without kinds: nothing did."""
        self._open = {one for one in self._open if kinds and one[0] not in kinds}
        self._become([one for one in self._held if kinds and one.kind not in kinds])

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._become([one for one in self._held if one.asked])

    @property
    def _held(self) -> list[Held]:
        return self._counted.held.get(self._name, [])

    def _become(self, held: list[Held], changed: bool = False, durable: bool = False) -> None:
        if changed or held != self._held:
            self._counted.held[self._name] = held
            self._counted.write(self._limits, durable)


def _items(account: Account, identifiers: Collection[Identifier], counts: Counts) -> set[_Item]:
    return {(kind, subject) for kind, _, subject, _ in _limits(account.limits, identifiers, counts)}


def _limits(
    limits: Limits, identifiers: Collection[Identifier], counts: Counts
) -> Iterator[tuple[str, Rate, str, str]]:
    """Each limit that an order comes under: its kind, rate, subject, and what it counts, for people."""
    if limits.failures:
        for name in plain(identifiers):
            yield "failures", limits.failures, name, f"failed validations of {name}"
    if limits.orders and "orders" in counts.value:
        yield "orders", limits.orders, "", "orders"
    if limits.certificates and "certificates" in counts.value:
        for domain in registered(identifiers):
            yield "certificates", limits.certificates, domain, f"certificates for {domain} and names below it"
    if limits.duplicates and "duplicates" in counts.value:
        yield "duplicates", limits.duplicates, exact(identifiers), "certificates for exactly these names"


def _period(rate: Rate) -> str:
    return f"{rate.seconds // 3600} h" if rate.seconds % 3600 == 0 else f"{rate.seconds} s"


def _limited(account: Account, words: str, wait: int, now: int) -> Failure:
    until = clock.text((now + wait) * clock.SECOND)
    return Failure(
        errors.RATE_LIMITED,
        f"acmed keeps to a limit of account '{account.name}': {words}; not before {until}",
        wait,
    )
