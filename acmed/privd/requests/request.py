# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key and CSR for the next certificate, kept in pending/NAME/{privkey.pem,csr.der,request.json} until replaced.

Where the CSR came from elsewhere, there is no privkey.pem.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from acmed import journal
from acmed.names import Identifier
from acmed.privd import files, keys
from acmed.privd.keys import Origin
from acmed.privd.places import Places

_DIRECTORY_MODE = 0o700


@dataclass(frozen=True)
class Terms:
    """What configuration asks for, as far as the CSR or the order says it.

    given: what others made, and may replace: the public key of key-file, or the CSR's SHA-256; empty for a key of ours.
    """

    identifiers: frozenset[Identifier]
    key_type: str
    origin: Origin = Origin.GENERATED
    given: str = ""
    must_staple: bool = False
    common_name: str | None = None
    subject: str | None = None
    profile: str | None = None
    validity_days: int | None = None
    key_usage: tuple[str, ...] = ()
    hash: str = "sha256"
    backdate_hours: int | None = None


@dataclass(frozen=True)
class Request:
    """request.json. public_key: base64 of the DER SubjectPublicKeyInfo. csr_sha256: hexadecimal. not_before and
    not_after: RFC 3339.

    job is acmed's job that it was made for last, and new_key whether that one asked for a new key: the same job that
    asks again, after a crash, must get the same request. account is the one that it was last given for, accounts are
    all of those: one key and CSR, but an order of its own at each.
    """

    id: str
    job: int
    account: str
    identifiers: tuple[Identifier, ...]
    key_type: str
    public_key: str
    csr_sha256: str
    new_key: bool = False
    accounts: tuple[str, ...] = ()
    origin: Origin = Origin.GENERATED
    must_staple: bool = False
    common_name: str | None = None
    subject: str | None = None
    profile: str | None = None
    validity_days: int | None = None
    not_after: str | None = None
    key_usage: tuple[str, ...] = ()
    hash: str = "sha256"
    backdate_hours: int | None = None
    not_before: str | None = None

    @property
    def terms(self) -> Terms:
        given = {Origin.GENERATED: "", Origin.PROVIDED: self.public_key, Origin.ELSEWHERE: self.csr_sha256}
        return Terms(
            frozenset(self.identifiers),
            self.key_type,
            self.origin,
            given[self.origin],
            self.must_staple,
            self.common_name,
            self.subject,
            self.profile,
            self.validity_days,
            self.key_usage,
            self.hash,
            self.backdate_hours,
        )

    @property
    def name(self) -> str:
        """What callers know it by. It says the account, so that what one CA issued is never taken for another's."""
        return f"{self.id}.{self.account}"

    def account_of(self, name: str) -> str | None:
        """The account that was given the request by that name; None where it is another request."""
        return next((account for account in self.accounts if name == f"{self.id}.{account}"), None)


def base(name: str) -> str:
    """The id of the request that a caller, or set.json, has by that name. Before there was more than one account for a
    certificate, both were the same.
    """
    return name.partition(".")[0]


@dataclass(frozen=True)
class Material:
    """A request with its CSR (DER), and its private key (PEM) where that is here."""

    request: Request
    private_key: bytes | None
    csr: bytes


def read(places: Places, name: str) -> Material | None:
    """The pending request, or None where there is none, or not a whole one. Raises OSError. Its key may be damaged."""
    directory = places.pending(name)
    try:
        request = _parse((directory / "request.json").read_bytes())
        elsewhere = request.origin is Origin.ELSEWHERE
        key = None if elsewhere else (directory / "privkey.pem").read_bytes()
        material = Material(request, key, (directory / "csr.der").read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        journal.warning("The pending request in %s cannot be read (%s); another one is made", directory, error)
        return None
    if hashlib.sha256(material.csr).hexdigest() != request.csr_sha256:
        journal.warning("The pending request in %s is damaged; another one is made", directory)
        return None
    return material


def key_damage(material: Material) -> str:
    """Why its private key, where that is here, cannot be used, or an empty string. RSA takes up to a second."""
    if material.private_key is None:
        return ""
    try:
        keys.check(material.private_key, material.request.public_key)
    except keys.UnusableKey as error:
        return str(error)
    return ""


def write(places: Places, name: str, material: Material) -> None:
    """The old request goes first: a crash in between leaves none, never one with another's key. Raises OSError."""
    target = places.pending(name)
    building = target.with_name(f".{name}")
    files.make_directory(target.parent, _DIRECTORY_MODE)
    files.remove_tree(building)
    building.mkdir(mode=_DIRECTORY_MODE)
    if material.private_key is not None:
        files.create(building / "privkey.pem", material.private_key, files.PRIVATE)
    files.create(building / "csr.der", material.csr, files.PRIVATE)
    files.create(building / "request.json", _description(material.request), files.PRIVATE)
    files.sync_directory(building)
    files.remove_tree(target)
    building.rename(target)
    files.sync_directory(target.parent)


def update(places: Places, name: str, request: Request) -> None:
    """Changes what is known about the pending request. Raises OSError."""
    files.replace(places.pending(name) / "request.json", _description(request), files.PRIVATE)


def drop(places: Places, name: str) -> None:
    """Removes the pending request with its key. Raises OSError."""
    files.remove_tree(places.pending(name))


def _parse(text: bytes) -> Request:
    """Raises ValueError, TypeError or KeyError."""
    content = json.loads(text)
    content["identifiers"] = tuple(Identifier(**identifier) for identifier in content["identifiers"])
    content["accounts"] = tuple(content.get("accounts", ()))
    content["key_usage"] = tuple(content.get("key_usage", ()))
    content["origin"] = Origin(content.get("origin", Origin.GENERATED))
    return Request(**content)


def _description(request: Request) -> bytes:
    return json.dumps(asdict(request), indent=1).encode()
