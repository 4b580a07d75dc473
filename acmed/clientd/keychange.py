# SPDX-License-Identifier: LGPL-2.1-or-later
"""The change to an account's next key (RFC 8555 section 7.3.5), which may be asked for again after any crash."""

from urllib.parse import urljoin

from acmed import journal
from acmed.clientd.errors import AcmeError
from acmed.clientd.session import Session

_CONFLICT = 409  # the next key has an account, whose URL is in Location
# What CAs say to a signature by the old key when the account has the next one, or as Pebble, to the change itself.
_UNKNOWN_KEY = (400, 401, 403, 404, _CONFLICT)


async def change_key(session: Session) -> None:
    """Returns when the CA knows the account by its next key. Raises AcmeError where that key is another account's, and
    any ClientError.
    """
    uri = session.uri
    try:
        await session.change_key()
    except AcmeError as error:
        if error.status not in _UNKNOWN_KEY or error.type in ("badNonce", "rateLimited"):
            raise
        told = error.status == _CONFLICT and error.location
        owner = urljoin(error.url, told) if told else await _owner(session, error)
        if owner != uri:
            detail = f"the next key of {session.account.name} is already the key of another account, {owner}"
            raise AcmeError.told(error.url, detail, "conflict") from error
        journal.notice("The CA had changed the key before")
    else:
        journal.notice("The CA has changed the key")


async def _owner(session: Session, refusal: AcmeError) -> str:
    """The URL of the account that the next key has. Raises the refusal of the change where it has none."""
    try:
        return session.location(await session.lookup(by_next_key=True))
    except AcmeError as error:
        if error.type != "accountDoesNotExist":
            raise
        raise refusal from error
