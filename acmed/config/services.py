# SPDX-License-Identifier: LGPL-2.1-or-later
"""[service.NAME]: what is done for a service that uses a certificate."""

import re

from acmed import paths
from acmed.config import schema
from acmed.config.model import Action, Problem, Service
from acmed.config.pathnames import path_fault
from acmed.config.section import Section
from acmed.config.table import Table
from acmed.config.words import kind_of, listed, quoted, title, unknown_key
from acmed.names import InvalidName, object_name

# systemd.unit(5): prefix, perhaps an instance, and a type.
_UNIT_TYPES = ("service", "socket", "target", "path", "timer", "mount", "automount", "swap", "slice", "scope", "device")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]*)?")
_LONGEST_UNIT = 255

_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")  # systemd.exec(5), User= and Group=
_MODES = {"0400": 0o400, "0440": 0o440, "0600": 0o600, "0640": 0o640}
_GROUP_READ = 0o040

_OWN = (paths.CERTIFICATES, paths.PRIV_STATE, paths.MANAGER_STATE, paths.RUN, paths.ACCOUNT_CREDENTIALS)


def service(name: str, table: Table, problems: list[Problem]) -> Service | None:
    """The service, or None where it has a problem."""
    section = Section(table, title("service", name), schema.SERVICE, problems)
    try:
        object_name(name)
    except InvalidName as error:
        section.refuse("", str(error), "rename the table")
    units = _units(section)
    action = section.choice("action", [word.value for word in Action])
    group = _group(section)
    mode = _mode(section, group)
    files = _files(section)
    if section.broken:
        return None
    return Service(name, units, Action(action) if action else Action.RELOAD, group, mode, files)


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


def _group(section: Section) -> str | None:
    group = section.text("group")
    if group is not None and not _GROUP.fullmatch(group):
        section.wrong("group", f"is {quoted(group)}, which is no name of a group; numbers are not allowed")
    return group


def _mode(section: Section, group: str | None) -> int:
    """The private key's mode. Its owner is root, so nobody but root and the group may have a right to it."""
    text = section.text("mode")
    if text is None:
        return Service.mode
    mode = _MODES.get(text.rjust(4, "0"))
    if mode is None:
        allowed = f"allowed are {listed(_MODES)}: a private key is read by its group at most, and written by root"
        section.wrong("mode", f"is {quoted(text)}; {allowed}")
        return Service.mode
    if group and not mode & _GROUP_READ:
        section.wrong("mode", f"{quoted(text)} keeps the key from the group {quoted(group)}; it must be 0440 or 0640")
    return mode


def _files(section: Section) -> dict[str, str]:
    files = section.table("files") or {}
    for kind, target in files.items():
        if kind not in schema.FILES:
            section.refuse("files", *unknown_key(kind, "'files'", schema.FILES))
        elif not isinstance(target, str):
            section.wrong("files", f"must give a path for {kind}, not {kind_of(target)}")
        elif fault := _target_fault(target):
            section.wrong("files", f"has {quoted(target)} for {kind}; {fault}")
    paths_ = [target for target in files.values() if isinstance(target, str)]
    if len(set(paths_)) < len(paths_):
        section.wrong("files", "has the same path twice", "'combined' is the key and the full chain in one file")
    return files


def _target_fault(target: str) -> str:
    """What is wrong with a path in which {name} is the certificate's name, or an empty string."""
    plain = target.replace("{name}", "NAME")
    if "{" in plain or "}" in plain:
        return "the only thing in braces may be {name}, the certificate's name"
    if fault := path_fault(plain):
        return fault
    for own in _OWN:
        if plain == str(own) or plain.startswith(f"{own}/"):
            return f"it must not be in {own}, which is acmed's own"
    return ""
