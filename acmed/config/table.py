# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of acmed.toml and its drop-ins, laid over each other, with where each key came from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmed.config.document import Document
from acmed.config.locate import Key
from acmed.config.model import Problem
from acmed.config.words import kind_of, quoted, unknown_key
from acmed.names import InvalidName, zone_name

_NAMED = ("account", "service", "zone")
_PLAIN = ("defaults", "log-level", "http01", "notify")
_EXAMPLES = {
    "account": "[account.letsencrypt]",
    "service": "[service.nginx]",
    "defaults": "[defaults]",
    "log-level": "[log-level]",
    "http01": "[http01]",
    "notify": "[notify]",
    "zone": '[zone."example.com"]',
}


@dataclass(frozen=True)
class Place:
    """A key in a file."""

    document: Document
    key: Key

    @property
    def path(self) -> Path:
        return self.document.path

    @property
    def line(self) -> int:
        return self.document.line(self.key)

    def problem(self, message: str, hint: str = "", index: int | None = None) -> Problem:
        """A problem with this key, or with one element of its array."""
        key = self.key if index is None else (*self.key, index)
        return Problem(self.path, self.document.line(key), message, hint)

    def note(self, message: str, hint: str = "") -> Problem:
        """Something that is only worth knowing."""
        return Problem(self.path, self.line, message, hint, note=True)


@dataclass
class Table:
    """One table. A key's value is taken whole from the last file that has the key; place is the table's last one."""

    place: Place
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def overlay(self, place: Place, values: dict[str, Any]) -> None:
        self.place = place
        for key, value in values.items():
            self.values[key] = value
            self.places[key] = Place(place.document, (*place.key, key))

    def inner(self, key: str) -> "Table":
        """The table that is a key's value, as the file has it that has the key."""
        table = Table(self.places[key])
        table.overlay(table.place, self.values[key])
        return table

    @classmethod
    def of(cls, document: Document) -> "Table":
        """A whole file as one table."""
        table = cls(Place(document, ()))
        table.overlay(table.place, document.data)
        return table


@dataclass
class Tables:
    """All tables of acmed.toml, its drop-ins and services.d, and those that the certificates' files are.

    plain has the keys above the first table under "". zone has the zones' names as zone_name() has them, where they are
    valid, so that each zone is one table however its name is written. unread: the problems of what could not be read of
    the files whose words are for the whole host.
    """

    plain: dict[str, Table] = field(default_factory=dict)
    account: dict[str, Table] = field(default_factory=dict)
    service: dict[str, Table] = field(default_factory=dict)
    zone: dict[str, Table] = field(default_factory=dict)
    certificate: dict[str, Table] = field(default_factory=dict)
    unread: tuple[Problem, ...] = ()

    def add(self, document: Document, allowed: Iterable[str], problems: list[Problem]) -> None:
        """Lays a file over what was read before, and adds what it has at the wrong place to problems."""
        for key, value in document.data.items():
            place = Place(document, (key,))
            if key not in allowed:
                problems.append(place.problem(*unknown_key(key, "", tuple(allowed))))
            elif key in _NAMED:
                self._add_named(key, place, value, problems)
            elif key in _PLAIN:
                self._overlay(self.plain, key, place, value, problems)
            else:
                self._overlay(self.plain, "", Place(document, ()), {key: value}, problems)

    def _add_named(self, key: str, place: Place, value: Any, problems: list[Problem]) -> None:
        """The tables below [account], [service] or [zone]."""
        if not isinstance(value, dict):
            problems.append(_no_table(place, value))
            return
        named = {"account": self.account, "service": self.service, "zone": self.zone}[key]
        for written, inner in value.items():
            name = _zone(written) if key == "zone" else written
            self._overlay(named, name, Place(place.document, (key, written)), inner, problems)

    def _overlay(self, tables: dict[str, Table], name: str, place: Place, value: Any, problems: list[Problem]) -> None:
        if not isinstance(value, dict):
            problems.append(_no_table(place, value))
            return
        tables.setdefault(name, Table(place)).overlay(place, value)


def _zone(written: str) -> str:
    try:
        return zone_name(written)
    except InvalidName:
        return written


def _no_table(place: Place, value: Any) -> Problem:
    key = ".".join(map(str, place.key))
    hint = f"write a table, as in {_EXAMPLES[str(place.key[0])]}"
    return place.problem(f"{quoted(key)} must be a table, not {kind_of(value)}", hint)
