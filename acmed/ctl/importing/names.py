# SPDX-License-Identifier: LGPL-2.1-or-later
"""subject and subjectAltName of a section: the names of the certificate, and its subject. And names for sections."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from acmed.config.identifiers import covered
from acmed.ctl.importing import csr
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import Setting
from acmed.names import Identifier, InvalidName, object_name

CN = "2.5.4.3"
_LONGEST_CN = 64  # bytes (RFC 5280 appendix A.1)
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9_.-]+")


@dataclass
class Wanted:
    """subject: RFC 4514, where it is more than a common name, which is in it then."""

    attributes: list[csr.Attribute]
    names: list[str] = field(default_factory=list)
    common_name: str = ""
    subject: str = ""


def wanted(subject: Setting, alternative: Setting | None, report: Report) -> Wanted:
    """Raises csr.NotUnderstood."""
    rdns = csr.subject(subject.value)
    found = Wanted([attribute for rdn in rdns for attribute in rdn])
    identifiers: dict[Identifier, None] = {}
    for kind, value in found.attributes:
        if kind == CN and (identifier := _identifier(value)):
            identifiers[identifier] = None
    _add_alternative(identifiers, alternative, report)
    for identifier, wildcard in list(covered(identifiers)):
        identifiers.pop(identifier, None)
        report.notes.append(f"{subject.section}: {identifier} is left out, as {wildcard} covers it")
    found.names = [identifier.value for identifier in identifiers]
    kept = [[(kind, _usual(value) if kind == CN else value) for kind, value in rdn] for rdn in rdns]
    kept = [[(kind, value) for kind, value in rdn if kind != CN or _is_usable(value, found.names)] for rdn in kept]
    kept = [rdn for rdn in kept if rdn]
    if len(kept) == 1 and len(kept[0]) == 1 and kept[0][0][0] == CN:
        found.common_name = kept[0][0][1]
    elif kept:
        found.subject = csr.rfc4514(kept)
    return found


def object_names(sections: Collection[str]) -> dict[str, str]:
    """A certificate's name for each section: its own where it can be one."""
    chosen: dict[str, str] = {}
    for section in sorted(sections, key=lambda one: (one != _plain(one), one)):
        plain, number = _plain(section), 2
        name = plain
        while name in chosen.values():
            name, number = f"{plain}-{number}", number + 1
        chosen[section] = name
    return chosen


def _plain(section: str) -> str:
    name = _NOT_IN_A_NAME.sub("-", section.lower()).removesuffix(".toml")
    name = re.sub(r"\.{2,}", ".", name).strip(".-")[:190]
    try:
        return object_name(name)
    except InvalidName:
        return "certificate"


def _add_alternative(found: dict[Identifier, None], given: Setting | None, report: Report) -> None:
    if given is None:
        return
    left = []
    for kind, value in csr.alternative_names(given.value):
        identifier = _identifier(value) if kind in ("DNS", "IP", "IP Address") else None
        if identifier:
            found[identifier] = None
            if identifier.type == "ip" or identifier.value.startswith("*."):
                report.notes.append(f"{given.path}:{given.line}: lacme could not order {identifier}; acmed can")
        elif kind != "critical":
            left.append(f"{kind}:{value}")
    if left:
        report.changed(given, f"names, without {', '.join(left)}: no CA issues for that over ACME")
    else:
        report.kept(given, "names")


def _identifier(text: str) -> Identifier | None:
    try:
        return Identifier.parse(text)
    except InvalidName:
        return None


def _usual(text: str) -> str:
    """A common name as the identifier has it, where it is one."""
    identifier = _identifier(text)
    return identifier.value if identifier else text


def _is_usable(common_name: str, names: Collection[str]) -> bool:
    return common_name in names and len(common_name) <= _LONGEST_CN
