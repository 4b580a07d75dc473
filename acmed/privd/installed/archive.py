# SPDX-License-Identifier: LGPL-2.1-or-later
"""archive/certificates/NAME/ID/: sets that were revoked, with their keys, so that nobody takes those up again."""

from pathlib import Path

from acmed import journal
from acmed.privd import files, keys
from acmed.privd.installed import sets
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.requests import request, retired_keys

_DIRECTORY_MODE = 0o700


def archive(places: Places, name: str, fingerprint: str) -> tuple[str, ...]:
    """Moves the set of that certificate (SHA-256, hexadecimal), those with the same key, and the pending request if it
    has that key; the accounts that this one was for, if any. Again is no error. Raises NotIssued or OSError.

    First of all the key is retired: a crash in between leaves nothing that would be used again.
    """
    revoked = next((one for one in sets.kept(places, name) if one.fingerprint == fingerprint), None)
    revoked = revoked or next((one for one in kept(places, name) if one.fingerprint == fingerprint), None)
    if revoked is None:
        raise refusal("NotIssued", certificate=name)
    public_key = public_key_of(places, name, revoked)
    retired_keys.retire(places, public_key, name)
    target = places.archive(name)
    files.make_directory(target, _DIRECTORY_MODE)
    pending = request.read(places, name)
    is_pending = pending is not None and pending.request.public_key == public_key
    if pending and is_pending:
        _move(places.pending(name), target / f"request-{pending.request.id}")
    # The one that was named is last: until then all of this is done again.
    same = [one for one in sets.kept(places, name) if public_key_of(places, name, one) == public_key]
    for one in sorted(same, key=lambda one: one.fingerprint == fingerprint):
        _move(places.sets(name) / one.id, target / one.id)
    journal.notice("Archived the revoked certificate of %s and its key in %s", name, target)
    return (pending.request.accounts or (pending.request.account,)) if pending and is_pending else ()


def kept(places: Places, name: str) -> list[sets.Set]:
    """The archived sets, the oldest first. Raises OSError."""
    found = (sets.read(path) for path in sorted(places.archive(name).glob("*/set.json")))
    return [one for one in found if one]


def current(places: Places, name: str) -> sets.Set | None:
    """The archived set that /var/lib/acme/NAME still points to. Raises OSError."""
    identifier = sets.current_id(places, name)
    return next((one for one in kept(places, name) if one.id == identifier), None)


def has(places: Places, name: str, fingerprint: str) -> bool:
    """Raises OSError."""
    return any(one.fingerprint == fingerprint for one in kept(places, name))


def public_key_of(places: Places, name: str, one: sets.Set) -> str:
    """Base64 of the DER SubjectPublicKeyInfo. Raises OSError, or InstallFailed for an old set, whose key is damaged."""
    if one.public_key:
        return one.public_key
    paths = [directory / one.id / "privkey.pem" for directory in (places.sets(name), places.archive(name))]
    path = next(filter(Path.exists, paths), paths[0])
    try:
        return keys.encoded_public_key(keys.from_pem(path.read_bytes()))
    except keys.UnusableKey as error:
        raise refusal("InstallFailed", certificate=name, message=f"{path} is damaged: {error}") from error


def _move(source: Path, target: Path) -> None:
    files.remove_tree(target)
    source.rename(target)
    files.sync_directory(target.parent)
    files.sync_directory(source.parent)
