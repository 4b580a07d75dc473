# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key that is to follow an account's (RFC 8555 section 7.3.5).

It is sealed before the CA hears of it, and stays until it was adopted: whenever what crashes, one of the two is the one
that the CA knows. A sealed key is good under its own name only, so the next one is sealed again when it is adopted.
"""

from acmed import journal
from acmed.config.model import KeyType
from acmed.privd import files, keys, seal
from acmed.privd.places import Places
from acmed.privd.retirement import archive_directory
from acmed.privd.seal import SealingFailed


def make_next_key(places: Places, account: str, key_type: KeyType) -> None:
    """Seals a new key, unless there is one that was not adopted yet. Raises KeyUnavailable or OSError."""
    path = places.next_credentials / account
    with seal.errors(account):
        if path.exists() and not _is_adopted(places, account, seal.unseal(seal.NEXT, account, path.read_bytes())):
            return
        seal.seal(seal.NEXT, account, keys.to_pem(keys.generate(key_type)), path)
    journal.notice("Made the next key of account %s (%s)", account, key_type.value, account=account)


def adopt_next_key(places: Places, account: str) -> None:
    """Puts the next key in place of the account's; not an error where that was done. Raises KeyUnavailable or OSError.

    The old key is kept in the archive, sealed: were this asked for before the CA agreed, the account would be lost.
    """
    following = places.next_credentials / account
    try:
        sealed = following.read_bytes()
    except FileNotFoundError:
        return
    with seal.errors(account):
        key = seal.unseal(seal.NEXT, account, sealed)
        if not _is_adopted(places, account, key):
            _keep_old(places, account)
            seal.seal(seal.ACCOUNT, account, key, places.credentials / account)
        files.remove(following)
    journal.notice("The next key of account %s took the place of the old one", account, account=account)


def _is_adopted(places: Places, account: str, key: bytes) -> bool:
    """Whether only the end is missing, after a crash."""
    try:
        return seal.unseal(seal.ACCOUNT, account, (places.credentials / account).read_bytes()) == key
    except (FileNotFoundError, SealingFailed):
        return False


def _keep_old(places: Places, account: str) -> None:
    try:
        old = (places.credentials / account).read_bytes()
    except FileNotFoundError:
        return
    directory = archive_directory(places, account)
    files.create(directory / places.credentials.name, old, files.PRIVATE)
    files.sync_directory(directory)
