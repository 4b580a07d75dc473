# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installed sets. The master copies are sets/NAME/ID/{privkey,cert,chain,fullchain}.pem and set.json, for root alone;
what services read is /var/lib/acme/NAME, a link to .NAME.ID beside it, or to .NAME.ID.again where it was put back.
Where the CSR came from elsewhere, there is no privkey.pem.
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from acmed import journal
from acmed.privd import files
from acmed.privd.keys import Origin
from acmed.privd.places import Places

KEPT = 5
_DIRECTORY_MODE = 0o700

# <time of the installation>-<serial number, its first digits>. The capitals tell it from a certificate's name.
_ID = r"\d{8}T\d{6}Z-[0-9a-f]{1,16}"
_AGAIN = ".again"


@dataclass(frozen=True)
class Set:
    """set.json. serial_number, fingerprint and chain_sha256 (of the fullchain.pem) are hexadecimal; times are in
    microseconds since the epoch. directory: of the account. cert_id: RFC 9773 section 4.1. public_key: base64 of the
    DER SubjectPublicKeyInfo. These three are empty where the set was installed before acmed kept them.
    """

    id: str
    request: str
    account: str
    key_type: str
    serial_number: str
    issuer: str
    fingerprint: str
    not_before: int
    not_after: int
    chain_sha256: str
    directory: str = ""
    cert_id: str | None = None
    public_key: str = ""
    origin: Origin = Origin.GENERATED


@dataclass(frozen=True)
class Content:
    """The four files, PEM. chain is empty where the leaf came alone; privkey is None where it is not here."""

    privkey: bytes | None
    cert: bytes
    chain: bytes

    @property
    def fullchain(self) -> bytes:
        return self.cert + self.chain

    @property
    def kinds(self) -> tuple[str, ...]:
        """The files that are published."""
        return ("cert", "chain", "fullchain") if self.privkey is None else ("privkey", "cert", "chain", "fullchain")

    def file(self, kind: str) -> bytes:
        """privkey, cert, chain, fullchain, or combined: the key and the full chain in one file. Where the key is not
        here, there is neither the first nor the last.
        """
        key = self.privkey or b""
        parts: dict[str, bytes] = {
            "privkey": key,
            "cert": self.cert,
            "chain": self.chain,
            "fullchain": self.fullchain,
            "combined": key + self.fullchain,
        }
        return parts[kind]


def current(places: Places, name: str) -> Set | None:
    """The set that /var/lib/acme/NAME points to, or None where nothing is installed. Raises OSError."""
    identifier = current_id(places, name)
    return _read(places, name, identifier) if identifier else None


def current_id(places: Places, name: str) -> str | None:
    """The id of that set, which may not be there any more; None where /var/lib/acme/NAME is not a link of ours."""
    target = published(places, name)
    found = target and re.fullmatch(rf"\.{re.escape(name)}\.({_ID})(?:{re.escape(_AGAIN)})?", target.name)
    return found[1] if found else None


def published(places: Places, name: str) -> Path | None:
    """What /var/lib/acme/NAME points to; None where it is no link, or leads elsewhere."""
    try:
        target = (places.certificates / name).readlink()
    except OSError:
        return None
    return None if len(target.parts) != 1 else places.certificates / target


def kept(places: Places, name: str) -> list[Set]:
    """All sets of a certificate, the oldest first."""
    found = (_read(places, name, path.name) for path in _directories(places.sets(name), rf"({_ID})"))
    return [one for one in found if one]


def write(places: Places, name: str, one: Set, data: Content) -> None:
    """Writes a master set. It is there whole or not at all. Raises OSError."""
    parent = places.sets(name)
    building = parent / ".new"
    files.make_directory(parent, _DIRECTORY_MODE)
    files.remove_tree(building)
    building.mkdir(mode=_DIRECTORY_MODE)
    for kind in data.kinds:
        files.create(building / f"{kind}.pem", data.file(kind), files.PRIVATE)
    files.create(building / "set.json", json.dumps(asdict(one), indent=1).encode(), files.PRIVATE)
    files.sync_directory(building)
    building.rename(parent / one.id)
    files.sync_directory(parent)


def publish(places: Places, name: str, one: Set, data: Content, key_access: files.Access) -> None:
    """Puts all files of a set in place of the earlier ones by one rename. Raises OSError; then nothing is changed."""
    directory = places.certificates / f".{name}.{one.id}"
    if directory == published(places, name):
        directory = directory.with_name(f"{directory.name}{_AGAIN}")
    link = places.certificates / f".{name}.{one.id}.link"
    files.remove_tree(directory)
    link.unlink(missing_ok=True)
    try:
        directory.mkdir()
        for kind in data.kinds:
            access = key_access if kind == "privkey" else files.PUBLIC
            files.create(directory / f"{kind}.pem", data.file(kind), access)
        directory.chmod(0o755)
        files.sync_directory(directory)
        link.symlink_to(directory.name)
        files.sync_directory(places.certificates)
        link.replace(places.certificates / name)
    except OSError as error:
        link.unlink(missing_ok=True)
        files.remove_tree(directory)
        error.filename = error.filename2 or error.filename  # of a rename, what stands in the way
        raise
    files.sync_directory(places.certificates)


def grant(places: Places, name: str, one: Set, data: Content, key_access: files.Access) -> None:
    """Lets those read the published key who are to read it now, by another switch unless they may already: none of them
    is without it for a moment. Raises OSError.
    """
    if data.privkey is not None and not key_access.is_of((places.certificates / name / "privkey.pem").lstat()):
        publish(places, name, one, data, key_access)
        tidy(places, name, one)


def tidy(places: Places, name: str, one: Set) -> None:
    """Removes all published directories of this certificate but one's, and the oldest master sets. What cannot be
    removed is logged, and tried again after the next installation.
    """
    there = _directories(places.certificates, rf"\.{re.escape(name)}\.({_ID})(\.link|{re.escape(_AGAIN)})?")
    masters = [path for path in _directories(places.sets(name), rf"({_ID})") if path.name != one.id]
    in_use = published(places, name)
    stale = [path for path in there if path != in_use] + masters[: -(KEPT - 1)]
    for path in stale:
        try:
            if path.is_symlink():
                path.unlink()
            else:
                files.remove_tree(path)
        except OSError as error:
            journal.warning("Cannot remove the old %s: %s", path, error.strerror)


def _directories(parent: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if re.fullmatch(pattern, path.name))
    except FileNotFoundError:
        return []


def _read(places: Places, name: str, identifier: str) -> Set | None:
    return read(places.sets(name) / identifier / "set.json")


def read(path: Path) -> Set | None:
    """What a set.json says, None where there is none, or nothing in it that can be understood. What a newer acmed has
    put there besides is nothing to us: as not installed, all would be ordered anew. Raises OSError.
    """
    try:
        said = json.loads(path.read_bytes())
        known = {field.name: said[field.name] for field in fields(Set) if field.name in said}
        return Set(**(known | {"origin": Origin(said.get("origin", Origin.GENERATED))}))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        journal.warning("%s cannot be read: %s", path, error)
        return None
