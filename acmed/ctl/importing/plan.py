# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that an import writes, and what it has to tell."""

from dataclasses import dataclass
from pathlib import Path

from acmed import paths
from acmed.config.load import ETC, USR, Loaded, load
from acmed.config.model import Problem
from acmed.config.sandbox import UNIT
from acmed.ctl.importing import common, dropin, lacmefiles, names, staging, writing
from acmed.ctl.importing.account import account
from acmed.ctl.importing.certificate import Imported, certificate, tell_of_defaults
from acmed.ctl.importing.lacmefiles import Lacme
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.responder import responder
from acmed.ctl.importing.schedules import Schedule, find
from acmed.ctl.importing.writing import NewFile, table_text

ACCOUNT = "lacme"


@dataclass(frozen=True)
class Places:
    """Where acmed's configuration is, and units' drop-ins; root: where cron's files are looked for."""

    etc: Path = ETC
    usr: Path = USR
    units: Path = Path("/etc/systemd/system")
    sealed: Path = paths.ACCOUNT_CREDENTIALS.parent
    root: Path = Path("/")

    @property
    def drop_in(self) -> Path:
        return self.units / f"{UNIT}.d/lacme.conf"


@dataclass(frozen=True)
class Plan:
    """problems: what is wrong with the configuration that the files make, or to be done on the host. In report.errors
    is what stands in the way.
    """

    lacme: Lacme
    report: Report
    files: tuple[NewFile, ...] = ()
    problems: tuple[Problem, ...] = ()
    commands: tuple[str, ...] = ()


def make(source: Path, places: Places) -> Plan:
    """From lacme.conf. Raises tiny.BadSource and OSError."""
    lacme, report = lacmefiles.read(source), Report()
    there = load(places.etc, places.usr)
    own = account(lacme, report)
    http01, firewall = responder(lacme.webserver, report)
    imported = _certificates(lacme, places, report)
    _account_for_all(lacme, report)
    _refuse_what_is_there(there, imported, report)
    settings = common.text(there.tables.plain, there.configuration.default_account, http01, firewall, imported, report)
    head = f"# From {lacme.path}; written by acmectl import lacme.\n"
    opened = dropin.not_writable(imported)
    report.notes += dropin.notes(opened, imported, places.drop_in)
    # What others refer to is there before them.
    files = [
        *([dropin.file(opened, places.drop_in)] if opened else []),
        *(one.hook for one in imported if one.hook),
        *([NewFile(places.etc / "acmed.toml.d/lacme.toml", "\n".join([head, *settings]))] if settings else []),
        NewFile(places.etc / f"acmed.toml.d/account-{ACCOUNT}.toml", head + table_text(f"account.{ACCOUNT}", own)),
        *(_certificate_file(one, places) for one in imported),
    ]
    report.errors += [f"{path} is there already, and is not overwritten" for path in writing.existing(files)]
    problems: tuple[Problem, ...] = ()
    if not report.errors:  # what follows from these would be told too
        problems = staging.problems(files, there, places.etc, places.usr, places.sealed, tuple(opened), report)
    schedules = find(places.root)
    for one in schedules:
        if one.options:
            report.notes.append(f"{one.path}:{one.line} gives lacme {', '.join(one.options)}, which is not looked at")
    commands = _commands(imported, bool(opened), schedules)
    return Plan(lacme, report, tuple(files), problems, tuple(commands))


def _certificates(lacme: Lacme, places: Places, report: Report) -> list[Imported]:
    chosen = names.object_names(lacme.certificates)
    found = []
    for section, settings in sorted(lacme.certificates.items()):
        name = chosen[section]
        if one := certificate(name, section, settings, places.etc / "hooks.d", report):
            found.append(one)
            if name != section:
                report.notes.append(
                    f"[{section}] becomes the certificate {name}: names here have a-z, 0-9, '-', '_', '.'"
                )
    tell_of_defaults({one.section: lacme.certificates[one.section] for one in found}, report)
    if not lacme.certificates:
        report.notes.append("lacme has no certificates")
    return found


def _account_for_all(lacme: Lacme, report: Report) -> None:
    report.notes += lacme.notes
    report.kept(lacme.config_certs, "the files that it names were read")
    for setting, why in lacme.without_effect:
        report.dropped(setting, why)
    report.account_for(lacme.settings())


def _refuse_what_is_there(there: Loaded, imported: list[Imported], report: Report) -> None:
    """Tables that would be laid over those of other files."""
    tables = there.tables
    found = [(tables.account.get(ACCOUNT), f"[account.{ACCOUNT}]")]
    found += [
        (tables.service.get(one.service_name), f"[service.{one.service_name}]") for one in imported if one.service
    ]
    report.errors += [f"{table.place.path}:{table.place.line} has {title} already" for table, title in found if table]


def _certificate_file(one: Imported, places: Places) -> NewFile:
    text = f"# From lacme's [{one.section}] in {one.source}; written by acmectl import lacme.\n"
    order = ("names", "common-name", "subject")  # first, as a person would
    table = {key: one.table[key] for key in order if key in one.table} | one.table
    return NewFile(places.etc / f"certificates.d/{one.name}.toml", text + table_text("", table))


def _commands(imported: list[Imported], opened: bool, schedules: list[Schedule]) -> list[str]:
    """What comes next, in order."""
    commands = [f"systemctl daemon-reload && systemctl try-restart {UNIT}"] if opened else []
    commands += ["acmectl config check", f"acmectl account add {ACCOUNT} --agree-tos"]
    commands += [f"acmectl order --name {one.name}" for one in imported]
    ends = list(dict.fromkeys(one.command for one in schedules))
    return [*commands, *(ends or ["# end what runs lacme: a cron job or a timer (none was found)"])]
