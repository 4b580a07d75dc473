# SPDX-License-Identifier: LGPL-2.1-or-later
"""External account bindings (RFC 8555 section 7.3.4): the HMAC key is sealed for acme-keyd before the account is made.

The rest of what the CA gave, the key id and the algorithm, is noted until the account's file is written. A note is for
one directory, so that the HMAC key of one CA is never used at another.
"""

import json
import re
from dataclasses import dataclass, field

from acmed import base64url, hmackey, journal
from acmed.hmackey import UnusableHmacKey
from acmed.privd import files
from acmed.privd.accounts import seal
from acmed.privd.accounts.accountfile import Table
from acmed.privd.places import Places
from acmed.privd.refusal import refusal

_KEY_ID = re.compile("[!-~]{1,255}")  # as acmed.toml has it
_DIRECTORY_MODE = 0o700


@dataclass(frozen=True)
class Wish:
    """A binding as the CA gave it, checked. directory is a URL."""

    directory: str
    key_id: str
    algorithm: str
    key: bytes = field(repr=False)


def checked(directory: str, key_id: str, hmac_key: str, algorithm: str) -> Wish:
    """Raises InvalidConfiguration."""
    if not _KEY_ID.fullmatch(key_id):
        raise _invalid(
            "the key id of an external account binding is 1 to 255 printable ASCII characters without spaces"
        )
    if algorithm not in hmackey.ALGORITHMS:
        allowed = ", ".join(hmackey.ALGORITHMS)
        raise _invalid(f"algorithm {algorithm!r} of the external account binding; allowed are {allowed}")
    try:
        return Wish(directory, key_id, algorithm, hmackey.parse(hmac_key))
    except UnusableHmacKey as error:
        raise _invalid(f"the HMAC key of the external account binding cannot be used: {error}") from None


def seal_binding(places: Places, account: str, wish: Wish) -> None:
    """Seals the HMAC key, and notes the rest. Raises InvalidConfiguration, KeyUnavailable or OSError."""
    known = places.configuration().accounts.get(account)
    if known and known.external and known.directory != wish.directory:
        # What is sealed is the account's until its file is written, and nobody knows whether it will be.
        way = f"remove it first (acmectl account deactivate {account}), or take another name"
        raise _invalid(f"account {account!r} has a binding at {known.directory} already; {way}")
    content = base64url.encode(wish.key).encode()
    note = {"directory": wish.directory, "eab-key-id": wish.key_id, "eab-algorithm": wish.algorithm}
    path = places.binding_note(account)
    files.make_directory(path.parent, _DIRECTORY_MODE)
    forget_note(places, account)  # that of another key must not become this one's
    with seal.errors(account):
        seal.seal(seal.BINDING, account, content, places.bindings / account)
    files.replace(path, json.dumps(note).encode(), files.PRIVATE)
    journal.notice("Sealed the HMAC key %s for the external account binding of account %s", wish.key_id, account)


def noted(places: Places, account: str, directory: str) -> Table:
    """The keys of the account's table that were noted for this directory; empty where there are none."""
    path = places.binding_note(account)
    try:
        note = json.loads(path.read_bytes())
        return {key: note[key] for key in ("eab-key-id", "eab-algorithm")} if note["directory"] == directory else {}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        journal.warning("What was noted for account %s in %s is damaged: %s", account, path, error)
        return {}


def forget_note(places: Places, account: str) -> None:
    """Not an error where there is none."""
    places.binding_note(account).unlink(missing_ok=True)


def _invalid(message: str) -> Exception:
    return refusal("InvalidConfiguration", message=message)
