# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed.toml.d/lacme.toml: what is neither of one certificate nor of the account. Where there is only one of a thing,
what acmed's own files say of it already stays.
"""

from collections.abc import Iterable, Mapping

from acmed.config.table import Table as Known
from acmed.config.words import toml_key
from acmed.ctl.importing.certificate import Imported
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.writing import Table, table_text


def text(
    there: Mapping[str, Known],
    default_account: str | None,
    http01: Table,
    firewall: str | None,
    imported: Iterable[Imported],
    report: Report,
) -> list[str]:
    """The tables, each as text. there: those of acmed's own files, and default_account of theirs."""
    found = []
    if firewall and not _is_said(there, "", "firewall", report):
        found.append(f'firewall = "{firewall}"\n')
    if default_account and not ("defaults" in there and "account" in there["defaults"].values):
        report.notes.append(f"{default_account} stays the account of what names none: [defaults] says so")
        found.append(table_text("defaults", {"account": default_account}))
    said = [key for key in http01 if _is_said(there, "http01", key, report)]
    if http01 and not said:
        found.append(table_text("http01", http01))
    found += [table_text(f"service.{toml_key(one.service_name)}", one.service) for one in imported if one.service]
    return found


def _is_said(there: Mapping[str, Known], table: str, key: str, report: Report) -> bool:
    place = there[table].places.get(key) if table in there else None
    if place:
        what = f"[{table}] {key}" if table else key
        report.notes.append(f"{what} is not written: {place.path}:{place.line} has it, for all certificates")
    return place is not None
