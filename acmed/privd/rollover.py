# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key that is to follow an account's (RFC 8555 section 7.3.5).

It is sealed before the CA hears of it, and stays until it was adopted, or the CA refused it: whenever what crashes, one
of the two is the one that the CA knows. A sealed key is good under its own name only, so the next one is sealed again
when it is adopted. What acme-clientd says of the CA may be wrong, so neither key is ever removed: one that goes is kept
in the archive, sealed.
"""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acmed import journal
from acmed.config.model import AccountKeyType
from acmed.privd import accountkeys, files, keys, seal
from acmed.privd.places import Places
from acmed.privd.retirement import archive_directory
from acmed.privd.seal import SealingFailed


def make_next_key(places: Places, account: str, key_type: AccountKeyType) -> str:
    """Seals a new key, unless there is one that was not adopted yet: the CA may know that. The answer is the type of
    the key that is there now. Raises KeyUnavailable or OSError.
    """
    path = places.next_credentials / account
    with seal.errors(account):
        if path.exists():
            there = seal.unseal(seal.NEXT, account, path.read_bytes())
            if not _is_adopted(places, account, there):
                return _type_of(there)
        seal.seal(seal.NEXT, account, accountkeys.generate(key_type), path)
    journal.notice("Made the next key of account %s (%s)", account, key_type.value, account=account)
    return key_type.value


def drop_next_key(places: Places, account: str) -> None:
    """Moves the next key to the archive; not an error where there is none. Raises KeyUnavailable or OSError."""
    following = places.next_credentials / account
    if not following.exists():
        return
    with seal.errors(account):
        _archive(places, account, following)
        files.remove(following)
    journal.notice("The next key of account %s is in the archive: the CA does not take it", account, account=account)


def adopt_next_key(places: Places, account: str) -> str:
    """Puts the next key in place of the account's; not an error where that was done. The answer is the type of the key
    that the account has then. Raises KeyUnavailable or OSError.
    """
    current, following = places.credentials / account, places.next_credentials / account
    with seal.errors(account):
        if not following.exists():
            return _type_of(seal.unseal(seal.ACCOUNT, account, current.read_bytes()))
        key = seal.unseal(seal.NEXT, account, following.read_bytes())
        if not _is_adopted(places, account, key):
            _archive(places, account, current)
            seal.seal(seal.ACCOUNT, account, key, current)
        files.remove(following)
    journal.notice("The next key of account %s took the place of the old one", account, account=account)
    return _type_of(key)


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
