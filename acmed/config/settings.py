# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of acmed.toml that there is one of: the keys above the first table, [defaults], [log-level], [http01]."""

from dataclasses import dataclass, field
from pathlib import Path

from acmed import journal
from acmed.config import schema
from acmed.config.model import Http01, Http01Mode, KeyType, Problem
from acmed.config.section import Section
from acmed.config.table import Table, Tables
from acmed.config.values import Names, absolute_path, account_name, service_names

_DEFAULT_ACCOUNT = "default"  # what `acmectl account add` calls an account that was given no name


@dataclass(frozen=True)
class Defaults:
    """[defaults]. broken: keys that a certificate cannot take from here; where says where they are."""

    account: str | None = None
    key_type: KeyType = KeyType.ECDSA_P256
    reuse_key: bool = False
    services: tuple[str, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)


def firewall(tables: Tables, problems: list[Problem]) -> bool:
    """Whether the firewall may be opened. Not where the key has a problem: perhaps "off" was meant."""
    table = tables.plain.get("")
    if table is None:
        return True
    section = Section(table, "", ("firewall",), problems)
    word = section.choice("firewall", ("auto", "off"))
    return word != "off" and not section.broken


def log_levels(tables: Tables, problems: list[Problem]) -> dict[str, str]:
    table = tables.plain.get("log-level")
    if table is None:
        return {}
    section = Section(table, "[log-level]", schema.LOG_LEVEL, problems)
    levels = {daemon: section.choice(daemon, journal.LEVELS) for daemon in schema.LOG_LEVEL}
    return {daemon: level for daemon, level in levels.items() if level is not None}


def http01(tables: Tables, problems: list[Problem]) -> Http01:
    table = tables.plain.get("http01")
    if table is None:
        return Http01()
    section = Section(table, "[http01]", schema.HTTP01, problems)
    word = section.choice("mode", [mode.value for mode in Http01Mode])
    mode = Http01Mode(word) if word else Http01Mode.STANDALONE
    webroot = absolute_path(section, "webroot")
    if webroot == "/":
        section.wrong("webroot", "is '/'; it must be the document root of a web server")
    if mode is Http01Mode.WEBROOT and not section.has("webroot"):
        section.missing("webroot", 'webroot = "/var/www/html", because mode is "webroot"')
    return Http01() if section.broken else Http01(mode, Path(webroot) if webroot else None)


def defaults(tables: Tables, accounts: Names, services: Names, problems: list[Problem]) -> Defaults:
    table = tables.plain.get("defaults")
    if table is None:
        return Defaults(account=_unsaid(accounts))
    section = Section(table, "[defaults]", schema.DEFAULTS, problems)
    account = account_name(section, accounts)
    key_type = section.choice("key-type", [word.value for word in KeyType])
    return Defaults(
        account if section.has("account") else _unsaid(accounts),
        KeyType(key_type) if key_type else KeyType.ECDSA_P256,
        section.flag("reuse-key") or False,
        service_names(section, services) or (),
        {key: _where(table, key) for key in section.broken},
    )


def _unsaid(accounts: Names) -> str | None:
    """The account named default, or the only one. A broken one counts: the other one may not have been meant."""
    if _DEFAULT_ACCOUNT in accounts.known:
        return _DEFAULT_ACCOUNT
    return next(iter(accounts.known)) if len(accounts.known) == 1 and not accounts.broken else None


def _where(table: Table, key: str) -> str:
    place = table.places[key]
    return f"{place.path} line {place.line}"
