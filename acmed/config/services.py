# SPDX-License-Identifier: LGPL-2.1-or-later
"""[service.NAME]: what is done for a service that uses a certificate."""

import re

from acmed.config import copies, schema
from acmed.config.model import Action, Problem, Service
from acmed.config.section import Section
from acmed.config.table import Table
from acmed.config.values import hook_name
from acmed.config.words import quoted, title
from acmed.names import InvalidName, object_name

# systemd.unit(5): prefix, perhaps an instance, and a type.
_UNIT_TYPES = ("service", "socket", "target", "path", "timer", "mount", "automount", "swap", "slice", "scope", "device")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]*)?")
_LONGEST_UNIT = 255

_WHY = "a private key is read by its group at most, and written by root"


def service(name: str, table: Table, problems: list[Problem]) -> Service | None:
    """The service, or None where it has a problem."""
    section = Section(table, title("service", name), schema.SERVICE, problems)
    try:
        object_name(name)
    except InvalidName as error:
        section.refuse("", str(error), "rename the table")
    units = _units(section)
    action = section.choice("action", [word.value for word in Action])
    group = copies.user_or_group(section, "group")
    mode = copies.mode(section, group, copies.PRIVATE_MODES, _WHY)
    files = copies.files(section, title("service", name, "files"))
    hook = hook_name(section, "hook")
    if section.broken:
        return None
    return Service(
        name,
        units,
        Action(action) if action else Action.RELOAD,
        group,
        Service.mode if mode is None else mode,
        files,
        hook,
    )


def _units(section: Section) -> tuple[str, ...]:
    units = section.texts("units", '["nginx.service"]') or ()
    for index, unit in enumerate(units):
        prefix, _, kind = unit.rpartition(".")
        if kind not in _UNIT_TYPES:
            hint = f"did you mean '{unit}.service'?" if _UNIT.fullmatch(unit) else ""
            what = f"has {quoted(unit)}, which is no unit name; it must end in one of .{', .'.join(_UNIT_TYPES)}"
            section.wrong("units", what, hint, index)
        elif not _UNIT.fullmatch(prefix) or len(unit) > _LONGEST_UNIT:
            what = f"has {quoted(unit)}, which is no unit name; allowed are letters, digits and : _ . \\ - @"
            section.wrong("units", what, index=index)
        elif prefix.endswith("@"):
            what = f"has {quoted(unit)}, which is a template; an instance is needed"
            section.wrong("units", what, f"such as '{prefix}main.{kind}'", index)
        elif unit in units[:index]:
            section.wrong("units", f"has {quoted(unit)} twice", index=index)
    return units
