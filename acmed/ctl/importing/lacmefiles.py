# SPDX-License-Identifier: LGPL-2.1-or-later
"""lacme.conf, and the files and directories with certificates that it names: lacme(8), "CONFIGURATION FILE" and
"CERTIFICATE CONFIGURATION FILE". What makes lacme stop is an error here too.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from acmed.ctl.importing import tiny
from acmed.ctl.importing.tiny import BadSource, Setting, Settings, TinyFile
from acmed.specifiers import UnknownSpecifier, expand_as_root

_CERTIFICATE_FILES = "lacme-certs.conf lacme-certs.conf.d/"
_CONFIG_CERTS = "config-certs"

_CLIENT = ("socket", "user", "group", "command", "server", "timeout", "SSL_verify", "SSL_version", "SSL_cipher_list")
_WEBSERVER = ("listen", "challenge-directory", "user", "group", "command", "iptables")
_ACCOUNTD = ("user", "group", "command", "config", "privkey", "quiet")
_SECTIONS = {"client": _CLIENT, "webserver": _WEBSERVER, "accountd": _ACCOUNTD}
_CERTIFICATE = (
    *("certificate", "certificate-chain", "certificate-key", "min-days", "CAfile", "hash", "keyUsage"),
    *("subject", "subjectAltName", "tlsfeature", "owner", "chown", "mode", "chmod", "notify"),
)


@dataclass
class Lacme:
    """accountd: None where the section's header is not there. certificates: by section, with the defaults that reach
    it. without_effect: settings that lacme does not use, and why. notes: what lacme itself would warn of.
    """

    path: Path
    client: Settings
    webserver: Settings
    accountd: Settings | None
    config_certs: Setting | None = None
    certificates: dict[str, Settings] = field(default_factory=dict)
    files: list[TinyFile] = field(default_factory=list)
    without_effect: list[tuple[Setting, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def settings(self) -> Iterator[Setting]:
        """All that the files say."""
        for file in self.files:
            yield from (before for before, _ in file.overwritten)
            for section in file.sections.values():
                yield from section.values()


def read(path: Path) -> Lacme:
    """lacme.conf, and what it leads to. Raises BadSource."""
    path = Path.cwd() / path
    file = tiny.read(path)
    _check_names(f"{path}: lacme has no section", file.named, _SECTIONS)
    for name, settings in file.named.items():
        _check_keys(settings, _SECTIONS[name])
    given = file.defaults.get(_CONFIG_CERTS)
    lacme = Lacme(
        path, file.named.get("client", {}), file.named.get("webserver", {}), file.named.get("accountd"), given
    )
    lacme.files.append(file)
    lacme.without_effect += _unknown(setting for setting in file.defaults.values() if setting.key != _CONFIG_CERTS)
    for source in _sources(path, given):
        for one in _files(source, lacme.notes):
            lacme.files.append(tiny.read(one))
    _add_certificates(lacme)
    for each in lacme.files:
        lacme.without_effect += [(old, f"line {new.line} has it again") for old, new in each.overwritten]
    return lacme


def check_accountd(file: TinyFile) -> None:
    """lacme-accountd.conf, lacme-accountd(1). Raises BadSource."""
    _check_names(f"{file.path}: lacme-accountd has no section", file.named, ())
    _check_keys(file.defaults, ("privkey", "gpg", "socket", "logfile", "keyid", "quiet"))


def _sources(path: Path, given: Setting | None) -> Iterator[str]:
    """The paths of config-certs; one with a final "/" must be a directory."""
    for word in (given.value if given else _CERTIFICATE_FILES).split():
        try:
            # As lacme does: two strings.
            place = expand_as_root(word)
            yield place if place.startswith("/") else f"{path.parent}/{place}"
        except UnknownSpecifier as error:
            where = f"{path}:{given.line}: {_CONFIG_CERTS}" if given else _CONFIG_CERTS
            raise BadSource(f"{where}: {error}") from None


def _files(source: str, notes: list[str]) -> list[Path]:
    """In the order in which lacme reads them."""
    if not source.endswith("/") and not Path(source).is_dir():
        return [Path(source)]
    try:
        names = sorted(os.listdir(source), key=os.fsencode)  # noqa: PTH208  names, as bytes
    except OSError as error:
        raise BadSource(f"{source}: {error.strerror or error}") from None
    notes += [f"{Path(source, name)} is not read, as lacme does not: .conf is not how it ends" for name in names if not
              name.endswith(".conf")]  # fmt: skip
    return [Path(source, name) for name in names if name.endswith(".conf")]


def _add_certificates(lacme: Lacme) -> None:
    """Defaults reach the sections of all files from theirs on; a section replaces that of the same name before it."""
    defaults: Settings = {}
    for file in lacme.files[1:]:
        lacme.without_effect += _unknown(one for one in file.defaults.values() if one.key not in _CERTIFICATE)
        defaults |= {key: setting for key, setting in file.defaults.items() if key in _CERTIFICATE}
        for name, settings in file.named.items():
            _check_keys(settings, _CERTIFICATE)
            why = f"{file.path} has a section [{name}] too, which replaces this one"
            lacme.without_effect += [
                (setting, why) for setting in lacme.certificates.get(name, {}).values() if setting.section == name
            ]
            lacme.certificates[name] = {**defaults, **settings}


def _unknown(settings: Iterable[Setting]) -> list[tuple[Setting, str]]:
    return [(setting, "lacme does not know it either, and ignores it") for setting in settings]


def _check_names(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise BadSource(f"{what} [{name}], and refuses to start")


def _check_keys(settings: Settings, known: Iterable[str]) -> None:
    for setting in settings.values():
        if setting.key not in known:
            raise BadSource(
                f"{setting.path}:{setting.line}: lacme has no setting {setting.title}, and refuses to start"
            )
        if not re.fullmatch(r"[^\x00-\x08\x0b-\x1f\x7f]*", setting.value):
            raise BadSource(f"{setting.path}:{setting.line}: {setting.title} has control characters in it")
