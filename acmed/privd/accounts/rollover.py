# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key that is to follow an account's (RFC 8555 section 7.3.5).

It is sealed before the CA hears of it, and stays until it was adopted, or the CA refused it: whenever what crashes, one
of the two is the one that the CA knows. A sealed key is good under its own name only, so the next one is sealed again
when it is adopted. What acme-clientd says of the CA may be wrong, so neither key is ever removed: one that goes is kept
in the archive, sealed.
"""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from acmed import journal
from acmed.config.model import AccountKeyType
from acmed.privd import files, keys
from acmed.privd.accounts import accountkeys, seal
from acmed.privd.accounts.retirement import archive_directory
from acmed.privd.accounts.seal import SealingFailed
from acmed.privd.places import Places
from acmed.privd.refusal import refusal

_DIRECTORY_MODE = 0o700


def make_next_key(places: Places, account: str, key_type: AccountKeyType) -> str:
    """Seals a new key, unless there is one that was not adopted yet: the CA may know that. The answer is the type of
    the key that is there now. Raises KeyUnavailable or OSError.
    """
    path = places.next_credentials / account
    with seal.errors(account):
        if path.exists():
            there = seal.unseal(seal.NEXT, account, path.read_bytes())
            if not _is_adopted(places, account, there):
                _note(places, account, there)
                return _type_of(there)
        key = accountkeys.generate(key_type)
        _note(places, account, key)
        seal.seal(seal.NEXT, account, key, path)
    journal.notice("Made the next key of account %s (%s)", account, key_type.value, account=account)
    return key_type.value


def drop_next_key(places: Places, account: str) -> None:
    """Moves the next key to the archive; not an error where there is none. Raises KeyUnavailable or OSError."""
    following = places.next_credentials / account
    with seal.errors(account):
        if not following.exists():
            forget_note(places, account)
            return
        _archive(places, account, following)
        files.remove(following)
        forget_note(places, account)
    journal.notice("The next key of account %s is in the archive: the CA does not take it", account, account=account)


def adopt_next_key(places: Places, account: str) -> str:
    """Puts the next key in place of the account's; not an error where that was done. The answer is the type of the key
    that the account has then. Raises KeyUnavailable, also where the next key is gone that the CA may know, or OSError.
    """
    current, following = places.credentials / account, places.next_credentials / account
    with seal.errors(account):
        if not following.exists():
            key = seal.unseal(seal.ACCOUNT, account, current.read_bytes())
            _check_noted(places, account, key, following)
            forget_note(places, account)
            return _type_of(key)
        key = seal.unseal(seal.NEXT, account, following.read_bytes())
        if not _is_adopted(places, account, key):
            _archive(places, account, current)
            seal.seal(seal.ACCOUNT, account, key, current)
        files.remove(following)
        forget_note(places, account)
    journal.notice("The next key of account %s took the place of the old one", account, account=account)
    return _type_of(key)


def forget_note(places: Places, account: str) -> None:
    """When no key is to follow any more; not an error where there is no note."""
    places.next_key_note(account).unlink(missing_ok=True)


def _note(places: Places, account: str, key: bytes) -> None:
    """Which key is to follow, so that an adoption that was done is told from a key that somebody removed."""
    path = places.next_key_note(account)
    files.make_directory(path.parent, _DIRECTORY_MODE)
    files.replace(path, _identity(key), files.PRIVATE)


def _check_noted(places: Places, account: str, key: bytes, following: Path) -> None:
    """That an account's key is the one that was to follow, where that is known. Raises KeyUnavailable."""
    path = places.next_key_note(account)
    if path.exists() and path.read_bytes() != _identity(key):
        reason = f"its next key, {following}, is gone, and the CA may know no other by now: put it back from a backup"
        raise refusal("KeyUnavailable", account=account, reason=reason)


def _identity(key: bytes) -> bytes:
    """Of a private key (PEM): SHA-256 of its public half, hexadecimal."""
    public = load_pem_private_key(key, None).public_key()
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest().encode()


def _is_adopted(places: Places, account: str, key: bytes) -> bool:
    """Whether only the end is missing, after a crash."""
    try:
        return seal.unseal(seal.ACCOUNT, account, (places.credentials / account).read_bytes()) == key
    except (FileNotFoundError, SealingFailed):
        return False


def _archive(places: Places, account: str, credential: Path) -> None:
    """Keeps a sealed key, if it is there, under the name of the directory that it is from."""
    try:
        sealed = credential.read_bytes()
    except FileNotFoundError:
        return
    directory = archive_directory(places, account)
    files.create(directory / credential.parent.name, sealed, files.PRIVATE)
    files.sync_directory(directory)


def _type_of(pem: bytes) -> str:
    """As --key-type has it, where it has it."""
    key = load_pem_private_key(pem, None)
    return keys.type_of(key) if isinstance(key, keys.PrivateKey) else AccountKeyType.ED25519.value
