# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where lacme writes a certificate to, and whose the files are then."""

import os
import re
from pathlib import Path

from acmed.config import copies
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import Setting, Settings
from acmed.ctl.importing.writing import Table, path_text

_OCTAL = re.compile(r"[0-7]*")
_NO_MORE_RIGHTS = 0o644
_GROUP_READS = 0o040
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")


def absolute(setting: Setting, report: Report) -> str | None:
    """An absolute path as acmed wants it written."""
    text = setting.value
    if not text.startswith("/"):
        report.wrong(
            setting, "is empty" if not text else "is relative to where lacme was started; give its absolute path"
        )
        return None
    path = Path(text)
    if ".." in path.parts:  # which means something else behind a symbolic link
        path = Path(os.path.realpath(path.parent), path.name) if path.name != ".." else path.resolve()
    return path_text(os.path.normpath(f"/{str(path).lstrip('/')}"))


def files(table: Table, settings: Settings, report: Report) -> None:
    found: dict[str, str] = {}
    for key, kind in (("certificate-chain", "fullchain"), ("certificate", "cert")):
        given = settings.get(key)
        if given is None:
            continue
        if not given.value:
            report.dropped(given, "it is empty")
            continue
        path = absolute(given, report)
        if path is None:
            continue
        if path in found.values():
            report.dropped(given, "certificate-chain is the same file, and lacme writes that one last")
            continue
        found[kind] = path
        report.kept(given, f"files, {kind}")
    table["files"] = found


def rights(table: Table, settings: Settings, report: Report) -> None:
    """owner and mode count more than chown and chmod."""
    owner, mode = (_first(settings, *keys, report) for keys in (("owner", "chown"), ("mode", "chmod")))
    number = _mode(mode, report)
    if number is not None:
        table["mode"] = f"{number:04o}"
    if owner is None:
        return
    if not owner.value:
        report.dropped(owner, "it is empty")
        return
    user, colon, group = owner.value.partition(":")
    if not all(_USER.fullmatch(part) for part in ([user, group] if colon else [user])):
        report.dropped(owner, "must be USER or USER:GROUP, by names, of letters, digits, '_' and '-'")
        return
    table["owner"] = user
    if colon and number is not None and not number & _GROUP_READS:
        report.changed(owner, "owner; group is left out, as mode gives it no right")
    else:
        table.update({"group": group} if colon else {})
        report.kept(owner, f"owner{', group' if colon else ''}")


def _first(settings: Settings, key: str, other: str, report: Report) -> Setting | None:
    if key in settings:
        report.dropped(settings.get(other), f"lacme ignores it beside '{key}'")
        return settings[key]
    return settings.get(other)


def _mode(given: Setting | None, report: Report) -> int | None:
    """Of the files without a key."""
    if given is None:
        return None
    if not given.value.isascii() or not given.value.isdigit():
        report.dropped(given, "is no mode in octal digits" if given.value else "it is empty")
        return None
    octal = _OCTAL.match(given.value)
    wanted = int(octal[0] or "0", 8) & 0o7777 if octal else 0
    if wanted in copies.MODES.values():
        report.kept(given, "mode")
        return wanted
    rights = wanted & _NO_MORE_RIGHTS
    if rights in copies.MODES.values():
        report.changed(given, f'mode = "{rights:04o}": nobody but the owner may write, or execute')
        return rights
    report.dropped(given, "acmed has no such mode for a certificate; it is 0644")
    return None
