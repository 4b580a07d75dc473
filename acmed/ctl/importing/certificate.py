# SPDX-License-Identifier: LGPL-2.1-or-later
"""A section of lacme-certs.conf as a certificate of acmed's; lacme(8), "CERTIFICATE CONFIGURATION FILE"."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acmed.config.common import MAX_DAYS
from acmed.config.model import Hash
from acmed.config.words import listed
from acmed.ctl.importing import csr, names, notify, placement
from acmed.ctl.importing.names import CN
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import Setting, Settings
from acmed.ctl.importing.writing import NewFile, Table

_DEFAULT_ANCHORS = "/usr/share/lacme/ca-certificates.crt"
# As Perl takes a number from the beginning of a string.
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NEEDED = ("certificate-key", "subject")
_FEATURES = {"status_request", "5"}
# What lacme does where a section does not say it, and acmed does not.
_DEFAULTS = {
    "CAfile": f"lacme then checks each chain against {_DEFAULT_ANCHORS}, Let's Encrypt's roots as it knew them, and"
    " throws away what leads elsewhere; acmed takes what the account's CA issues, unless trust-anchors names a file",
    "min-days": "lacme then renews 21 days before the end; acmed when the CA says so, or a third of the lifetime is"
    " left, unless renew-before says otherwise",
}
_HASHES = ("md5", "rmd160", "sha1", "sha224", *Hash)


@dataclass(frozen=True)
class Imported:
    """table: of certificates.d/NAME.toml. service: [service.lacme-NAME], empty where none is needed."""

    name: str
    section: str
    source: Path
    table: Table
    service: Table = field(default_factory=dict)
    hook: NewFile | None = None

    @property
    def files(self) -> list[str]:
        """The paths that it is copied to, as the configuration has them."""
        files = self.table.get("files")
        return list(files.values()) if isinstance(files, dict) else []

    @property
    def key_file(self) -> str:
        """The same for its key; empty where that is not in the configuration."""
        return str(self.table.get("key-file", ""))

    @property
    def service_name(self) -> str:
        return f"lacme-{self.name}"


def certificate(name: str, section: str, settings: Settings, hooks: Path, report: Report) -> Imported | None:
    """None, with the reason in report, where lacme cannot issue it either."""
    if why := _never_issued(settings):
        report.notes.append(f"[{section}] is not imported, as lacme cannot issue it: {why}")
        for setting in settings.values():
            report.dropped(setting, f"[{section}] is not imported: {why}")
        return None
    table: Table = {"account": "lacme"}
    _names(table, section, settings, report)
    if path := placement.absolute(settings["certificate-key"], report):
        table["key-file"] = path
        report.kept(settings["certificate-key"], "key-file")
    _hash(table, settings.get("hash"), report)
    _key_usage(table, settings.get("keyUsage"), report)
    _features(table, settings.get("tlsfeature"), report)
    _days(table, settings.get("min-days"), report)
    _anchors(table, settings.get("CAfile"), report)
    placement.files(table, settings, report)
    placement.rights(table, settings, report)
    wish = notify.notify(name, section, settings.get("notify"), hooks, report)
    if wish.service:
        table["services"] = [f"lacme-{name}"]
    source = next(iter(settings.values())).path
    own = next((setting.path for setting in settings.values() if setting.section == section), source)
    return Imported(name, section, own, table, wish.service, wish.hook)


def tell_of_defaults(imported: Mapping[str, Settings], report: Report) -> None:
    """imported: the settings of sections."""
    for key, text in _DEFAULTS.items():
        if sections := [f"[{section}]" for section, settings in imported.items() if key not in settings]:
            report.notes.append(f"Without {key} are {listed(sections)}: {text}")


def _never_issued(settings: Settings) -> str:
    """Why lacme skips the section, or an empty string."""
    if not any(settings[key].value for key in ("certificate", "certificate-chain") if key in settings):
        return "neither 'certificate' nor 'certificate-chain' is there"
    for key in _NEEDED:
        if key not in settings or not settings[key].value:
            return f"'{key}' is missing"
    given = settings.get("hash")
    return f"hash = {given.value} is none that it takes" if given and given.value not in _HASHES else ""


def _names(table: Table, section: str, settings: Settings, report: Report) -> None:
    given, alternative = settings["subject"], settings.get("subjectAltName")
    try:
        wanted = names.wanted(given, alternative, report)
    except csr.NotUnderstood as error:
        report.wrong(given, str(error))
        return
    if not wanted.names:
        report.wrong(given, f"[{section}] has no name that a CA could issue for")
        return
    table["names"] = wanted.names
    if wanted.subject:
        table["subject"] = wanted.subject
        report.kept(given, "names, subject")
    elif wanted.common_name:
        table["common-name"] = wanted.common_name
        report.kept(given, "names, common-name")
    elif any(kind == CN for kind, _ in wanted.attributes):
        report.changed(given, "names; a common name has to be one of them, of 64 bytes at most")
    else:
        report.dropped(given, "it says nothing")


def _hash(table: Table, given: Setting | None, report: Report) -> None:
    if given is None:
        return
    if given.value in list(Hash):
        table["hash"] = given.value
        report.kept(given, "hash")
    else:
        report.changed(given, "the default, sha256: the CSR alone was signed with that, and it is too weak")


def _key_usage(table: Table, given: Setting | None, report: Report) -> None:
    try:
        usage = csr.key_usage(given.value) if given else []
    except csr.NotUnderstood as error:
        report.dropped(given, str(error))
        return
    if usage:
        table["key-usage"] = list(usage)
        report.kept(given, "key-usage")
    else:
        report.dropped(given, "it is empty, and lacme cannot make a request so")


def _features(table: Table, given: Setting | None, report: Report) -> None:
    if given is None:
        return
    wanted = csr.features(given.value)
    others = sorted(wanted - _FEATURES)
    left = f"; without {', '.join(others)}, which no CA has a use for" if others else ""
    if wanted & _FEATURES:
        table["must-staple"] = True
        (report.changed if others else report.kept)(given, f"must-staple{left}")
    else:
        report.dropped(given, "acmed knows status_request alone" if others else "it is empty")


def _days(table: Table, given: Setting | None, report: Report) -> None:
    if given is None:
        return
    found = _NUMBER.match(given.value)
    number = float(found[0]) if found else 0.0
    if number < 0:
        report.dropped(given, "lacme renews at each run so; acmed renews when it is time: acmectl renew --force")
        return
    table["renew-before"] = days = max(1, math.ceil(min(number, MAX_DAYS)))
    exact = found is not None and found[0].strip() == given.value and number == days
    text = f"renew-before = {table['renew-before']}; earlier where the CA says so"
    (report.kept if exact else report.changed)(given, text)


def _anchors(table: Table, given: Setting | None, report: Report) -> None:
    if given is None:
        return
    if not given.value:
        report.kept(given, "trust-anchors is left out: the chain's own links are checked all the same")
    elif given.value == _DEFAULT_ANCHORS:
        report.changed(given, "trust-anchors is left out: those are Let's Encrypt's roots, as lacme knew them")
    elif path := placement.absolute(given, report):
        table["trust-anchors"] = path
        report.kept(given, "trust-anchors")
