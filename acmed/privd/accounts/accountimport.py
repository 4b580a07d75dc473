# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that an account has at its CA already, brought along from another client: sealed before the account is made."""

from acmed import journal, privatejwk
from acmed.privatejwk import UnusableJwk
from acmed.privd.accounts import seal
from acmed.privd.places import Places
from acmed.privd.refusal import refusal


def checked(text: str) -> bytes:
    """The key as PEM of our own making, from a private JWK. Raises InvalidConfiguration."""
    try:
        return privatejwk.to_pem(privatejwk.parse(text))
    except UnusableJwk as error:
        raise refusal("InvalidConfiguration", message=f"the account's key cannot be used: {error}") from None


def seal_key(places: Places, account: str, key: bytes) -> None:
    """Seals the key (PEM); not an error where the account has exactly this one. Raises AccountExists where it has
    another one, KeyUnavailable or OSError.
    """
    path = places.credentials / account
    with seal.errors(account):
        if not path.exists():
            seal.seal(seal.ACCOUNT, account, key, path)
            journal.notice("Sealed the key that account %s has brought along", account, account=account)
        elif seal.unseal(seal.ACCOUNT, account, path.read_bytes()) != key:
            raise refusal("AccountExists", account=account)
