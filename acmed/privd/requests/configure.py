# SPDX-License-Identifier: LGPL-2.1-or-later
"""certificates.d/NAME.toml, written for callers who may only name what root has configured."""

import time
import tomllib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmed import journal
from acmed.config import Certificate, Configuration
from acmed.config.certificates import MAX_NAMES
from acmed.config.model import ChallengeType, KeyType
from acmed.names import Identifier, InvalidName
from acmed.privd import files
from acmed.privd.installed import ownership
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.requests import elsewhere, request, retired_keys
from acmed.privd.requests.elsewhere import Elsewhere
from acmed.privd.requests.settings import KEYS, Settings

_DIRECTORY_MODE = 0o755
_PRIVATE_DIRECTORY_MODE = 0o700


@dataclass(frozen=True)
class Wish:
    """A certificate as a caller wants it. csr: one that was made elsewhere; where names is empty, it says them."""

    certificate: str
    names: list[str]
    settings: Settings
    csr: Elsewhere | None = None

    @property
    def all_names(self) -> list[str]:
        return self.names or [str(identifier) for identifier in self.csr.identifiers] if self.csr else self.names


def configure(places: Places, wish: Wish, replace: bool) -> None:
    """Writes the file, unless it says all of that, and keeps the CSR where there is one. Raises CertificateExists,
    InvalidConfiguration or OSError; then nothing is changed.
    """
    configuration, path = places.configuration(), places.certificate_file(wish.certificate)
    identifiers = _check(configuration, wish)
    is_elsewhere, is_said = wish.csr is not None, False
    if path.exists():
        if not replace:
            raise refusal("CertificateExists", certificate=wish.certificate)
        there = _read(path)
        is_said = _says(configuration.certificates.get(wish.certificate), identifiers, wish)
        if not is_said and (others := set(there) - KEYS):
            raise _invalid(f"{path} has {', '.join(sorted(others))}, which would be lost; edit the file instead")
        # Until the certificate is forgotten: whoever has its key would not look for one here.
        is_elsewhere |= there.get("csr") is True
    if wish.csr:
        elsewhere.check_names(f"certificate {wish.certificate}", identifiers, wish.csr)
        _check_not_compromised(places, wish.csr)
    files.make_directory(path.parent, _DIRECTORY_MODE)
    with ExitStack() as undone:
        if wish.csr:
            undone.enter_context(files.kept_on_error(places.csr(wish.certificate)))
            elsewhere.keep(places, wish.certificate, wish.csr)
        if not is_said:
            undone.enter_context(files.kept_on_error(path))
            files.replace(path, wish.settings.text(wish.all_names, is_elsewhere).encode(), files.PUBLIC)
        _check_result(places, wish.certificate)
    journal.notice("Configured %s for %s", wish.certificate, ", ".join(wish.all_names))


def forget(places: Places, name: str) -> tuple[str, ...]:
    """Moves the file, and a CSR, aside, and drops the pending request; the accounts that this one was for, if any.

    Raises NoSuchCertificate or OSError.
    """
    path = places.certificate_file(name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise refusal("NoSuchCertificate", certificate=name) from None
    pending = request.read(places, name)
    aside = places.state / "forgotten" / f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.toml"
    files.make_directory(aside.parent, _PRIVATE_DIRECTORY_MODE)
    files.replace(aside, content, files.PRIVATE)
    files.remove(path)
    if places.csr(name).exists():
        places.csr(name).replace(aside.with_suffix(".der"))
    request.drop(places, name)
    journal.notice("Forgot %s; its configuration is in %s", name, aside)
    return (pending.request.accounts or (pending.request.account,)) if pending else ()


def _check(configuration: Configuration, wish: Wish) -> list[Identifier]:
    names, settings = wish.all_names, wish.settings
    if not 1 <= len(names) <= MAX_NAMES:
        raise _invalid(f"{len(names)} names; a certificate has at least 1 and at most {MAX_NAMES}")
    try:
        identifiers = list(map(Identifier.parse, names))
    except InvalidName as error:
        raise _invalid(str(error)) from error
    accounts = [*([] if settings.account is None else [settings.account]), *(settings.failover or ())]
    _check_known("account", accounts, configuration.accounts)
    _check_known("key type", [settings.key_type] if settings.key_type is not None else (), KeyType)
    _check_known("challenge", [settings.challenge] if settings.challenge is not None else (), ChallengeType)
    _check_known("service", settings.services or (), configuration.services)
    return identifiers


def _check_known(kind: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in wanted:
        if name not in names:
            raise _invalid(f"there is no {kind} {name!r}; known: {', '.join(names) or 'none'}")


def _check_not_compromised(places: Places, csr: Elsewhere) -> None:
    if retired_keys.is_compromised(places, csr.public_key):
        raise _invalid("the key of the CSR was said to be compromised when a certificate was revoked; make another one")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{path} cannot be read ({error}), so it is not replaced") from error


def _says(certificate: Certificate | None, identifiers: Iterable[Identifier], wish: Wish) -> bool:
    """Whether a certificate is as it is wished already, with what its file and [defaults] say."""
    if certificate is None or (wish.csr and not certificate.csr):
        return False
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(wish.settings).items()}
    same = (value is None or getattr(certificate, name) == value for name, value in values.items())
    return set(certificate.identifiers) == set(identifiers) and all(same)


def _check_result(places: Places, name: str) -> None:
    """What the whole configuration makes of it."""
    configuration = places.configuration()
    if broken := configuration.broken.get(name):
        raise _invalid("; ".join(map(str, broken)))
    if (certificate := configuration.certificates[name]).csr:
        ownership.check_keyless(configuration, certificate)


def _invalid(message: str) -> Exception:
    return refusal("InvalidConfiguration", message=message)
