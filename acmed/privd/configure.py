# SPDX-License-Identifier: LGPL-2.1-or-later
"""certificates.d/NAME.toml, written for callers who may only name what root has configured."""

import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from acmed import journal
from acmed.config import Configuration
from acmed.config.certificates import MAX_NAMES
from acmed.config.model import KeyType
from acmed.names import Identifier, InvalidName
from acmed.privd import files, request, toml
from acmed.privd.places import Places
from acmed.privd.refusal import refusal

# What a caller may set, and so what may be lost when the file is written again.
_KEYS = {"names", "account", "key-type", "services"}
_DIRECTORY_MODE = 0o755
_PRIVATE_DIRECTORY_MODE = 0o700


@dataclass(frozen=True)
class Wish:
    """A certificate as a caller wants it. What is None is left to [defaults]."""

    certificate: str
    names: list[str]
    account: str | None
    key_type: str | None
    services: list[str] | None


def configure(places: Places, wish: Wish, replace: bool) -> None:
    """Writes the file. Raises CertificateExists, InvalidConfiguration or OSError; then nothing is changed."""
    _check(places.configuration(), wish)
    path = places.certificate_file(wish.certificate)
    if path.exists():
        if not replace:
            raise refusal("CertificateExists", certificate=wish.certificate)
        _check_replaceable(path)
    files.make_directory(path.parent, _DIRECTORY_MODE)
    with files.kept_on_error(path):
        files.replace(path, _text(wish).encode(), files.PUBLIC)
        broken = places.configuration().broken.get(wish.certificate)
        if broken:
            raise _invalid("; ".join(map(str, broken)))
    journal.notice("Configured %s for %s", wish.certificate, ", ".join(wish.names))


def forget(places: Places, name: str) -> str | None:
    """Moves the file aside and drops the pending request; the account that this one was for, if any.

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
    request.drop(places, name)
    journal.notice("Forgot %s; its configuration is in %s", name, aside)
    return pending.request.account if pending else None


def _check(configuration: Configuration, wish: Wish) -> None:
    if not 1 <= len(wish.names) <= MAX_NAMES:
        raise _invalid(f"{len(wish.names)} names; a certificate has at least 1 and at most {MAX_NAMES}")
    for name in wish.names:
        try:
            Identifier.parse(name)
        except InvalidName as error:
            raise _invalid(str(error)) from error
    if wish.account is not None:
        _check_known("account", [wish.account], configuration.accounts)
    if wish.key_type is not None:
        _check_known("key type", [wish.key_type], KeyType)
    _check_known("service", wish.services or [], configuration.services)


def _check_known(kind: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in wanted:
        if name not in names:
            raise _invalid(f"there is no {kind} {name!r}; known: {', '.join(names) or 'none'}")


def _check_replaceable(path: Path) -> None:
    try:
        others = set(tomllib.loads(path.read_text())) - _KEYS
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{path} cannot be read ({error}), so it is not replaced") from error
    if others:
        raise _invalid(f"{path} has {', '.join(sorted(others))}, which would be lost; edit the file instead")


def _text(wish: Wish) -> str:
    lines = [f"names = {toml.strings(wish.names)}"]
    if wish.account is not None:
        lines.append(f"account = {toml.string(wish.account)}")
    if wish.key_type is not None:
        lines.append(f"key-type = {toml.string(wish.key_type)}")
    if wish.services is not None:
        lines.append(f"services = {toml.strings(wish.services)}")
    return "\n".join([*lines, ""])


def _invalid(message: str) -> Exception:
    return refusal("InvalidConfiguration", message=message)
