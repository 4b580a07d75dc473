# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of acmed.toml that there is one of: the keys above the first table, [defaults], [log-level], [notify]."""

from dataclasses import dataclass, field, replace

from acmed import journal
from acmed.config import schema
from acmed.config.common import Common, common
from acmed.config.model import Notify, Problem
from acmed.config.section import Section
from acmed.config.table import Table, Tables
from acmed.config.values import Names, hook_name, mail_address
from acmed.config.words import quoted

_DEFAULT_ACCOUNT = "default"  # what `acmectl account add` calls an account that was given no name


@dataclass(frozen=True)
class Defaults:
    """[defaults]. broken: keys that a certificate cannot take from here; where says where they are."""

    common: Common = field(default_factory=Common)
    broken: dict[str, str] = field(default_factory=dict)


def firewall(tables: Tables, problems: list[Problem]) -> bool:
    """Whether the firewall may be opened. Not where the key has a problem, or is in a file that cannot be read: perhaps
    "off" was meant.
    """
    if tables.unread:
        return False
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


def notify(tables: Tables, problems: list[Problem]) -> Notify:
    table = tables.plain.get("notify")
    if table is None:
        return Notify()
    section = Section(table, "[notify]", schema.NOTIFY, problems)
    hook = hook_name(section, "hook")
    mail = section.text("mail")
    try:
        mail = mail_address(mail, local=True) if mail is not None else None
    except ValueError:
        section.wrong("mail", f"is {quoted(mail or '')}; it must be a mail address such as root@example.com, or root")
        mail = None
    return Notify(None if "hook" in section.broken else hook, mail)


def defaults(tables: Tables, accounts: Names, services: Names, problems: list[Problem]) -> Defaults:
    table = tables.plain.get("defaults")
    if table is None:
        return Defaults(Common(account=_unsaid(accounts)))
    section = Section(table, "[defaults]", schema.DEFAULTS, problems)
    found = common(section, accounts, services)
    if not section.has("account"):
        found = replace(found, account=_unsaid(accounts))
    return Defaults(found, {key: _where(table, key) for key in section.broken})


def _unsaid(accounts: Names) -> str | None:
    """The account named default, or the only one. A broken one counts: the other one may not have been meant."""
    if _DEFAULT_ACCOUNT in accounts.known:
        return _DEFAULT_ACCOUNT
    return next(iter(accounts.known)) if len(accounts.known) == 1 and not accounts.broken else None


def _where(table: Table, key: str) -> str:
    place = table.places[key]
    return f"{place.path} line {place.line}"
