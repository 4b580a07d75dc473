# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the whole configuration. What is wrong is told, and never stops what is right."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from acmed.config import accounts, schema, services, settings, zones
from acmed.config.certificates import Context, certificate
from acmed.config.document import Document, Refused, files, read, unreadable
from acmed.config.http01 import http01
from acmed.config.model import Certificate, Configuration, Problem
from acmed.config.table import Table, Tables
from acmed.config.values import Names
from acmed.names import InvalidName, object_name

ETC = Path("/etc/acmed")
USR = Path("/usr/lib/acmed")

Part = TypeVar("Part")


@dataclass(frozen=True)
class Loaded:
    """problems has all that is wrong, with that of each broken certificate; tables knows where each key came from.

    unread: those of the problems for which nobody knows what is configured: a directory that cannot be read, and a file
    whose words are for the whole host. hidden: the first of them for which certificates may be missing, if any.
    broken_accounts: by name, the problems of accounts that are left out. etc, usr: where it was read.
    """

    configuration: Configuration
    problems: tuple[Problem, ...]
    tables: Tables = field(default_factory=Tables, repr=False, compare=False)
    unread: tuple[Problem, ...] = ()
    hidden: Problem | None = None
    broken_accounts: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    etc: Path = field(default=ETC, compare=False)
    usr: Path = field(default=USR, compare=False)


def load(etc: Path = ETC, usr: Path = USR) -> Loaded:
    """usr/services.d/*.toml, etc/acmed.toml, etc/acmed.toml.d/*.toml, then etc/certificates.d/NAME.toml.

    Where a table is in several of the first, a key's value is that of the last file that has it. Never raises: what
    cannot be used is left out, with a Problem. A file or directory that is not there is empty; that etc itself is not
    is a problem.
    """
    problems: list[Problem] = []
    closed = _closed(etc)
    tables = _tables(etc, usr, closed, problems)
    found_accounts, broken_accounts = _each(tables.account, accounts.account, problems)
    found_services, _ = _each(tables.service, services.service, problems)
    account_names = _names(tables.account, found_accounts)
    service_names = _names(tables.service, found_services)
    defaults = settings.defaults(tables, account_names, service_names, problems)
    firewall = settings.firewall(tables, problems)
    log_levels = settings.log_levels(tables, problems)
    reach = http01(tables, problems)
    notify = settings.notify(tables, problems)
    found_zones, _ = _each(tables.zone, zones.zone, problems)
    context = Context(defaults, account_names, found_services, service_names)
    files_problems: list[Problem] = []
    paths = [] if closed else _files(etc / "certificates.d", files_problems)
    problems += files_problems
    found, broken = _certificates(etc, paths, tables, context, problems)
    configuration = Configuration(
        default_account=defaults.common.account,
        firewall=firewall,
        log_levels=log_levels,
        http01=reach,
        accounts=found_accounts,
        services=found_services,
        certificates=found,
        broken=broken,
        zones=found_zones,
        notify=notify,
    )
    return Loaded(
        configuration,
        tuple(problems),
        tables,
        unread=(*tables.unread, *files_problems),
        hidden=closed or next(iter(files_problems), None),
        broken_accounts=broken_accounts,
        etc=etc,
        usr=usr,
    )


def _closed(etc: Path) -> Problem | None:
    """Why nothing in the directory of the configuration can be reached: the package makes it, so it is never absent."""
    try:
        (etc / "acmed.toml").lstat()
    except FileNotFoundError:
        if etc.exists():
            return None
        hint = "bring it back from a backup, or make an empty one: systemd-tmpfiles --create acmed.conf"
        return Problem(etc, 0, "is not there, so no account and no certificate is configured", hint)
    except OSError as error:
        return unreadable(etc, error)
    return None


def _tables(etc: Path, usr: Path, closed: Problem | None, problems: list[Problem]) -> Tables:
    tables = Tables()
    for path in _files(usr / "services.d", problems):
        if document := _document(path, usr, problems):
            tables.add(document, ("service",), problems)
    if closed:
        problems.append(closed)
        tables.unread = (closed,)
        return tables
    known = len(problems)
    documents = [
        _document(path, etc, problems) for path in [etc / "acmed.toml", *_files(etc / "acmed.toml.d", problems)]
    ]
    tables.unread = tuple(problems[known:])
    for document in filter(None, documents):
        tables.add(document, schema.TOP, problems)
    return tables


def _files(directory: Path, problems: list[Problem]) -> list[Path]:
    try:
        return files(directory)
    except Refused as refusal:
        problems.append(refusal.problem)
        return []


def _document(path: Path, root: Path, problems: list[Problem]) -> Document | None:
    try:
        return read(path, root)
    except FileNotFoundError:
        return None
    except Refused as refusal:
        problems.append(refusal.problem)
        return None


def _each(
    tables: dict[str, Table], parse: Callable[[str, Table, list[Problem]], Part | None], problems: list[Problem]
) -> tuple[dict[str, Part], dict[str, tuple[Problem, ...]]]:
    """What could be made of each table, and the problems of those that are broken."""
    found: dict[str, Part] = {}
    broken: dict[str, tuple[Problem, ...]] = {}
    for name, table in tables.items():
        own: list[Problem] = []
        part = parse(name, table, own)
        if part is None:
            broken[name] = tuple(own)
        else:
            found[name] = part
        problems += own
    return found, broken


def _names(tables: Iterable[str], found: Iterable[str]) -> Names:
    return Names(frozenset(found), frozenset(tables) - frozenset(found))


def _certificates(
    etc: Path, paths: list[Path], tables: Tables, context: Context, problems: list[Problem]
) -> tuple[dict[str, Certificate], dict[str, tuple[Problem, ...]]]:
    """The certificates, and the problems of those that are broken. A file whose name is none is a problem only."""
    found: dict[str, Certificate] = {}
    broken: dict[str, tuple[Problem, ...]] = {}
    for path in paths:
        try:
            name = object_name(path.stem)
        except InvalidName as error:
            problems.append(Problem(path, 0, f"the file's name is a certificate's name: {error}", "rename the file"))
            continue
        own: list[Problem] = []
        document = _document(path, etc, own)
        if document is not None:
            tables.certificate[name] = Table.of(document)
            result = certificate(name, tables.certificate[name], context, own)
            if result is not None:
                found[name] = result
        if own:
            broken[name] = tuple(own)
            problems += own
    return found, broken
