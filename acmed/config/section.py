# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes typed values out of a table, and says what is wrong with those that do not fit."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from acmed.config.model import Problem
from acmed.config.table import Table
from acmed.config.words import did_you_mean, kind_of, listed, quoted, unknown_key


class Section:
    """A table while it is read: each getter answers None where the key is not there or is broken.

    title is how a person would write the table, [account.prod]; it is empty for the keys of a certificate's file and
    for those above the first table. known is None where a person names the keys. broken has the keys with a problem.
    """

    def __init__(
        self,
        table: Table,
        title: str,
        known: Sequence[str] | None,
        problems: list[Problem],
        around: tuple["Section", str] | None = None,
    ) -> None:
        self._table = table
        self._in = f" in {title}" if title else ""
        self._problems = problems
        self._around = around
        self.broken: set[str] = set()
        if known is not None:
            for key in table.values:
                if key not in known:
                    self.refuse(key, *unknown_key(key, title, known))

    def inner(self, key: str, title: str, known: Sequence[str] | None) -> Self | None:
        """The table that is a key's value. What is wrong in it makes the key broken."""
        if self.table(key) is None:
            return None
        return type(self)(self._table.inner(key), title, known, self._problems, (self, key))

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._table.values)

    def refuse(self, key: str, message: str, hint: str = "", index: int | None = None) -> None:
        """Adds a problem with a key, or with one element of its array, or with the table that lacks the key."""
        self.broken.add(key)
        if self._around:
            outer, name = self._around
            outer.broken.add(name)
        place = self._table.places.get(key, self._table.place)
        self._problems.append(place.problem(message, hint, index))

    def missing(self, key: str, example: str) -> None:
        self.refuse(key, f"'{key}' is missing{self._in}", f"such as {example}")

    def wrong(self, key: str, what: str, hint: str = "", index: int | None = None) -> None:
        """Adds a problem that starts with the key's name."""
        self.refuse(key, f"'{key}'{self._in} {what}", hint, index)

    def has(self, key: str) -> bool:
        return key in self._table.values

    def text(self, key: str) -> str | None:
        value = self._get(key, str, "a string")
        return value if isinstance(value, str) else None

    def flag(self, key: str) -> bool | None:
        value = self._get(key, bool, "true or false")
        return value if isinstance(value, bool) else None

    def integer(self, key: str, lowest: int, highest: int, hint: str = "") -> int | None:
        value = self._get(key, int, "an integer")
        if value is None or lowest <= value <= highest:
            return value if isinstance(value, int) else None
        # A number of many digits could not even be printed.
        given = value if abs(value) < 10**9 else "out of range"
        self.wrong(key, f"is {given}; allowed are {lowest} to {highest}", hint)
        return None

    def value(self, key: str) -> Any:
        """Whatever it is, for keys that may be of several types."""
        return self._table.values.get(key)

    def table(self, key: str) -> dict[str, Any] | None:
        value = self._get(key, dict, "a table")
        return value if isinstance(value, dict) else None

    def choice(self, key: str, allowed: Iterable[str]) -> str | None:
        """One of a list of words."""
        value = self.text(key)
        if value is None or value in allowed:
            return value
        self.wrong(key, f"is {quoted(value)}; allowed are {listed(allowed)}", did_you_mean(value, allowed))
        return None

    def texts(self, key: str, example: str) -> tuple[str, ...] | None:
        """An array of strings; None where one of them is none."""
        values = self._get(key, list, f"an array of strings such as {example}")
        if values is None:
            return None
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.wrong(key, f"must be an array of strings, and has {kind_of(value)} in it", index=index)
                return None
        return tuple(values)

    def _get(self, key: str, kind: type, allowed: str) -> Any:
        value = self._table.values.get(key)
        if value is None or type(value) is kind:
            return value
        self.wrong(key, f"must be {allowed}, not {kind_of(value)}")
        return None
