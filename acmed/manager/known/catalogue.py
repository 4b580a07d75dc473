# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration as it is now, and how each certificate and account is."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from acmed import config, journal
from acmed.config import Account, Certificate, Configuration, Problem
from acmed.manager import clock, errors, outcome
from acmed.manager.errors import Failure
from acmed.manager.known import installed
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import LOST, UNKNOWN, AccountState, CertificateState, Checked, Window
from acmed.manager.known.state import Store
from acmed.manager.known.status import Status, issuance
from acmed.manager.places import Places
from acmed.manager.upkeep import renewal

_FileStamps = tuple[tuple[str, int, int, int], ...]


class Catalogue:
    """Reads the configuration, and reads it again when a file of it has changed."""

    configuration: Configuration
    problems: tuple[Problem, ...] = ()
    unread: tuple[Problem, ...] = ()  # those that hide what else there is to do

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
        self.configuration, self.problems, self.unread = loaded.configuration, loaded.problems, loaded.unread
        self._broken_accounts, self._unread_tables = loaded.broken_accounts, loaded.tables.unread
        if loaded.hidden:
            # They are not gone, and that they are renewed no more is to be seen.
            hidden = self._store.configured - self.names
            broken = {**self.configuration.broken, **dict.fromkeys(hidden, (loaded.hidden,))}
            self.configuration = replace(self.configuration, broken=broken)
        else:
            self._store.cache_configured(self.names)
        self.reloaded()

    def reload_if_changed(self) -> None:
        """Costs a stat() for each file, and is made before each call: who edits a file need not know of Reload."""
        if self._configuration_stamps() != self._stamps:
            journal.info("The configuration has changed, reading it again")
            self.reload()

    def check_read(self) -> None:
        """Raises Failure where there may be more configured than acmed can read."""
        if self.unread:
            raise Failure(errors.INVALID_CONFIGURATION, "; ".join(map(str, self.unread)))

    def check_left_out(self, account: str) -> None:
        """Raises Failure where an account that is not known has a mistake, or may be where acmed cannot read."""
        is_known = account in self.configuration.accounts
        if not is_known and (problems := self._broken_accounts.get(account, self._unread_tables)):
            raise Failure(errors.INVALID_CONFIGURATION, "; ".join(map(str, problems)))

    @property
    def names(self) -> set[str]:
        """Of all certificates, also of those whose files are broken, or known to be there and cannot be seen."""
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
        configured, unreadable, files = self.configuration.certificates.get(name), "", ""
        try:
            files = installed.stamps(self.directory(name))
            found = self._installed(name, files)
        except OSError as error:
            found, unreadable = None, f"Cannot read what is installed as '{name}': {error.filename}: {error.strerror}"
        state = self._store.certificate(name)
        return Status(
            name=name,
            configured=configured,
            problem=self._problem(name),
            state=state,
            installed=found,
            unreadable=unreadable,
            files=files,
            key_stamp=_key_stamp(configured),
            directory=self._directory_of(state.issued.account) if state.issued else "",
            hooks=self._hooks(configured),
        )

    def installed(self, name: str, answer: dict[str, Any], identifiers: Iterable[str], account: Account) -> None:
        """Remembers what acme-privd says it has installed, which saves reading it, and what it was ordered as; whatever
        failed before it is over. answer: that of Priv.Install. account: as it was when it was ordered. Raises OSError.
        """
        state, configured = self._store.certificate(name), self.configuration.certificates.get(name)
        fingerprint = answer["fingerprint"]
        found = Installed(
            stamp=installed.stamp(self._certificate_file(name)),
            fingerprint=fingerprint,
            serial_number=answer["serialNumber"],
            issuer=answer["issuer"],
            identifiers=tuple(sorted(identifiers)),
            not_before=clock.shown(answer["notBefore"]),
            not_after=clock.shown(answer["notAfter"]),
        )
        by, directory, stamp = account.name, account.directory, _key_stamp(configured)
        issued = None
        if configured:
            issued = issuance(configured, fingerprint, by, directory, stamp, state.csr)
            now, former = clock.now(), state.issued.obtained if state.issued else 0
            settled = renewal.settled_at(found, now, former)
            issued = replace(issued, backdated=_backdated(configured, found), obtained=now, settled=settled)
        files = installed.stamps(self.directory(name))
        state = replace(outcome.issued(state), installed=found, account=by, issued=issued, files=files)
        self._store.cache_certificate(name, state)

    def save(self, name: str, state: CertificateState) -> None:
        """Remembers. Raises Failure: the disk is full, or the like."""
        try:
            self._store.save_certificate(name, state)
        except OSError as error:
            raise Failure(errors.INSTALL_FAILED, f"Cannot write the state of '{name}': {error.strerror}") from error

    def compared(self, name: str, fingerprint: str, replaced: bool, seen: str) -> None:
        """Remembers what acme-privd says of the key that root provides: whether it is another one than that of the
        certificate of that fingerprint. A file that was written anew with the same key is as it was. seen: which it
        need not look at again.
        """
        status = self.status(name)
        state = status.state
        if status.fingerprint != fingerprint:
            return
        issued = state.issued
        if issued and issued.fingerprint == fingerprint and not replaced:
            issued = replace(issued, key_stamp=status.key_stamp)
        other = fingerprint if replaced else ""
        self._store.cache_certificate(name, replace(state, issued=issued, other_key=other, key_seen=seen))

    def lost(self, name: str) -> None:
        """Remembers that what is published cannot be put back, and is to be ordered again. Raises Failure."""
        self.save(name, replace(self._store.certificate(name), files=LOST))

    def restored(self, name: str, changed: bool) -> None:
        """Remembers that what is published is right; changed: services have to get it again. Raises Failure."""
        state = self.status(name).state
        delivered = {} if changed else state.delivered
        try:
            files = installed.stamps(self.directory(name))
        except OSError as error:
            raise Failure(errors.INSTALL_FAILED, f"Cannot read '{name}': {error.strerror}") from error
        self.save(name, replace(state, files=files, delivered=delivered))

    def given(self, name: str, csr: str) -> None:
        """Remembers which CSR (SHA-256, hexadecimal) was given for a certificate. Raises Failure."""
        self.save(name, replace(self._store.certificate(name), csr=csr))

    def wanted(self, name: str) -> None:
        """Remembers that one which was revoked is to be replaced after all. Raises Failure."""
        status = self.status(name)
        if status.left_alone:
            self.save(name, replace(status.state, replace=True))

    def compromised(self, name: str) -> None:
        """Remembers that the key of what is installed is compromised. Raises Failure."""
        status = self.status(name)
        if status.installed and not status.compromised:
            self.save(name, outcome.compromised(status.state, status.fingerprint, clock.now()))

    def polled(self, name: str, window: Window) -> None:
        """Remembers what the CA said about a certificate's renewal."""
        self._store.cache_certificate(name, replace(self._store.certificate(name), window=window))

    def checked(self, name: str, checked: Checked) -> None:
        """Remembers when to ask next whether a certificate was revoked."""
        self._store.cache_certificate(name, replace(self._store.certificate(name), checked=checked))

    def forget(self, name: str) -> None:
        self._store.forget_certificate(name)

    def account(self, name: str) -> AccountState:
        """How an account is."""
        return self._store.account(name)

    def save_account(self, name: str, state: AccountState) -> None:
        """Remembers."""
        self._store.cache_account(name, state)

    def disowned(self, name: str) -> None:
        """Remembers that the CA does not know an account that it had given a URL."""
        account = self.configuration.accounts.get(name)
        if account and account.uri:
            self.save_account(name, replace(self.account(name), status=UNKNOWN))

    def served(self, name: str) -> None:
        """Remembers that the CA knows an account after all."""
        state = self.account(name)
        if state.status == UNKNOWN:
            self.save_account(name, replace(state, status="valid"))

    def forget_account(self, name: str) -> None:
        self._store.forget_account(name)

    def directory(self, name: str) -> Path:
        """Where the files of a certificate are."""
        return self._places.certificates / name

    def paths(self, name: str) -> dict[str, str]:
        """The installed files of a certificate, by what they are. The key of a CSR from elsewhere is not among them."""
        configured = self.configuration.certificates.get(name)
        kinds = [kind for kind in installed.KINDS if kind != "privkey" or not (configured and configured.csr)]
        return {kind: str(self.directory(name) / f"{kind}.pem") for kind in kinds}

    def _directory_of(self, account: str) -> str:
        """The URL of an account's CA; "" for one that is not configured."""
        found = self.configuration.accounts.get(account)
        return found.directory if found else ""

    def _hooks(self, configured: Certificate | None) -> tuple[str, ...]:
        """The services of a certificate that have a hook."""
        services = self.configuration.services
        return tuple(name for name in configured.services if services[name].hook) if configured else ()

    def _installed(self, name: str, files: str) -> Installed | None:
        """What is there. files: the stamp of all of them, which counts as right where none was known before."""
        state, path = self._store.certificate(name), self._certificate_file(name)
        if installed.stamp(path) == (state.installed.stamp if state.installed else ""):
            is_of_older_acmed = not state.files or installed.are_as_known(state.files, files)
            if state.installed and is_of_older_acmed and state.files != files:
                self._store.cache_certificate(name, replace(state, files=files))
            return state.installed
        found = installed.read(path)
        if found != state.installed:
            self._store.cache_certificate(name, replace(state, installed=found, files=state.files or files))
        return found

    def _certificate_file(self, name: str) -> Path:
        return self.directory(name) / "cert.pem"

    def _problem(self, name: str) -> str:
        return "; ".join(str(problem) for problem in self.configuration.broken.get(name, ()))

    def _configuration_stamps(self) -> _FileStamps:
        etc, usr = self._places.etc, self._places.usr
        directories = (etc / "acmed.toml.d", etc / "certificates.d", usr / "services.d")
        alone = (etc, etc / "acmed.toml", *directories)  # a directory that cannot be read can be again
        return tuple(sorted(chain(*map(_stamp, alone), *map(_stamps, directories))))


def _key_stamp(configured: Certificate | None) -> str:
    """Of the key that root provides, where acmed may look into its directory."""
    if configured is None or configured.key_file is None:
        return ""
    try:
        return installed.stamp(configured.key_file)
    except OSError:
        return ""


def _backdated(configured: Certificate, found: Installed) -> int:
    """By how much the notBefore of what was ordered just now was put back: what was asked for, where the CA did it."""
    return max(0, min((configured.backdate_hours or 0) * clock.HOUR, clock.now() - found.not_before))


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
    return ((str(path), status.st_ino, status.st_size, status.st_ctime_ns),)  # with mode and owner, by which it counts
