# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration as it is now, and how each certificate is."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from acmed import config, journal
from acmed.config import Certificate, Configuration, Problem
from acmed.manager import errors, installed
from acmed.manager.errors import Failure
from acmed.manager.installed import Installed
from acmed.manager.places import Places
from acmed.manager.state import CertificateState, Store
from acmed.manager.status import Status

_FileStamps = tuple[tuple[str, int, int, int], ...]


class Catalogue:
    """Reads the configuration, and reads it again when a file of it has changed."""

    configuration: Configuration
    problems: tuple[Problem, ...] = ()

    def __init__(self, places: Places, store: Store) -> None:
        self.reloaded: Callable[[], None] = lambda: None
        self._places = places
        self._store = store
        self._stamps: _FileStamps = ()
        self.reload()

    def reload(self) -> None:
        """Reads all of it. What is wrong with it is logged when it is new."""
        self._stamps = self._configuration_stamps()
        loaded = config.load(self._places.etc, self._places.usr)
        for problem in loaded.problems:
            if problem not in self.problems:
                journal.error("%s", problem)
        self.configuration, self.problems = loaded.configuration, loaded.problems
        self.reloaded()

    def reload_if_changed(self) -> None:
        """Costs a stat() for each file, and is made before each call: who edits a file need not know of Reload."""
        if self._configuration_stamps() != self._stamps:
            journal.info("The configuration has changed, reading it again")
            self.reload()

    @property
    def names(self) -> set[str]:
        """Of all certificates, also of those whose files are broken."""
        return set(self.configuration.certificates) | set(self.configuration.broken)

    def configured(self, name: str) -> Certificate:
        """A certificate's configuration. Raises Failure: there is none, or it is broken."""
        if name in self.configuration.certificates:
            return self.configuration.certificates[name]
        if name in self.configuration.broken:
            raise Failure(errors.INVALID_CONFIGURATION, self._problem(name))
        raise Failure(errors.NO_SUCH_CERTIFICATE, f"There is no certificate '{name}'")

    def status(self, name: str) -> Status:
        """How a certificate is now."""
        state, unreadable = self._store.certificate(name), ""
        try:
            found = self._installed(name, state)
        except OSError as error:
            found, unreadable = None, f"Cannot read what is installed as '{name}': {error.filename}: {error.strerror}"
        certificate = self.configuration.certificates.get(name)
        return Status(name, certificate, self._problem(name), self._store.certificate(name), found, unreadable)

    def installed(self, name: str, answer: dict[str, Any], identifiers: Iterable[str], account: str) -> None:
        """Remembers what acme-privd says it has installed, which saves reading it. answer: that of Priv.Install."""
        found = Installed(
            stamp=installed.stamp(self._certificate_file(name)),
            fingerprint=answer["fingerprint"],
            serial_number=answer["serialNumber"],
            issuer=answer["issuer"],
            identifiers=tuple(sorted(identifiers)),
            not_before=answer["notBefore"],
            not_after=answer["notAfter"],
        )
        self._store.cache_certificate(name, replace(self._store.certificate(name), installed=found, account=account))

    def save(self, name: str, state: CertificateState) -> None:
        """Remembers. Raises Failure: the disk is full, or the like."""
        try:
            self._store.save_certificate(name, state)
        except OSError as error:
            raise Failure(errors.INSTALL_FAILED, f"Cannot write the state of '{name}': {error.strerror}") from error

    def forget(self, name: str) -> None:
        self._store.forget_certificate(name)

    def paths(self, name: str) -> dict[str, str]:
        """The installed files of a certificate, by what they are."""
        kinds = ("privkey", "cert", "chain", "fullchain")
        return {kind: str(self._places.certificates / name / f"{kind}.pem") for kind in kinds}

    def _installed(self, name: str, state: CertificateState) -> Installed | None:
        path = self._certificate_file(name)
        if installed.stamp(path) == (state.installed.stamp if state.installed else ""):
            return state.installed
        found = installed.read(path)
        if found != state.installed:
            self._store.cache_certificate(name, replace(state, installed=found))
        return found

    def _certificate_file(self, name: str) -> Path:
        return self._places.certificates / name / "cert.pem"

    def _problem(self, name: str) -> str:
        return "; ".join(str(problem) for problem in self.configuration.broken.get(name, ()))

    def _configuration_stamps(self) -> _FileStamps:
        etc, usr = self._places.etc, self._places.usr
        directories = (etc / "acmed.toml.d", etc / "certificates.d", usr / "services.d")
        return tuple(sorted((*_stamp(etc / "acmed.toml"), *(one for path in directories for one in _stamps(path)))))


def _stamps(directory: Path) -> _FileStamps:
    try:
        with os.scandir(directory) as entries:
            return tuple(stamp for entry in entries for stamp in _stamp(Path(entry.path)))
    except OSError:
        return ()


def _stamp(path: Path) -> _FileStamps:
    try:
        status = path.stat()
    except OSError:
        return ()
    return ((str(path), status.st_ino, status.st_size, status.st_mtime_ns),)
