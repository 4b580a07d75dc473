# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done with an account itself (RFC 8555 section 7.3), but the change of its key."""

from dataclasses import dataclass

from acmed import journal
from acmed.clientd.ca.session import Session, nothing
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.orders.recovery import note_list

_MOST_CONTACTS = 100


@dataclass(frozen=True)
class Registered:
    """uri: the account's URL. terms: the URL of the terms of service that were agreed to, None if the CA has none."""

    uri: str
    status: str
    terms: str | None


async def register(session: Session) -> Registered:
    """Opens the account, or finds the one that its key already has. Raises any ClientError."""
    directory = await session.authority.resources.directory(fetched=True)  # what is agreed to are the terms of today
    payload = {"termsOfServiceAgreed": True, "contact": list(session.account.contact)}
    try:
        answer = await session.create("newAccount", payload, nothing)
    except AcmeError as error:
        wanted = error.type == "externalAccountRequired" or directory.external_account_required
        if wanted and session.account.external is None and 400 <= error.status < 500 and error.status != 429:
            error.advise(
                "this CA opens accounts only with an external account binding; get a key id and an HMAC key from it, "
                f"and give both to `acmectl account add {session.account.name}` with --eab-key-id and --eab-hmac-file"
            )
        elif session.account.external is not None and error.type == "unauthorized":
            error.advise(
                f"the request had an external account binding for the key id {session.account.external.key_id!r}; see "
                "that --eab-key-id, --eab-hmac-file and --eab-algorithm are what the CA gave you"
            )
        raise
    uri = session.location(answer)
    status = _status(answer)
    note_list(session, uri, answer)
    journal.info("The account is %s", "registered" if answer.status == 201 else f"known to the CA and {status}")
    return Registered(uri, status, directory.terms)


async def find(session: Session) -> Registered:
    """The account that its key already has (section 7.3.1). Raises AcmeError accountDoesNotExist where there is none,
    and any ClientError.
    """
    answer = await session.lookup(by_next_key=False)
    uri = session.location(answer)
    status = _status(answer)
    note_list(session, uri, answer)
    journal.info("The CA knows the account by its key; it is %s", status)
    return Registered(uri, status, None)


async def read(session: Session) -> tuple[str, list[str]]:
    """The account's status and contacts at the CA. Raises any ClientError."""
    answer = await session.get(session.uri)
    note_list(session, session.uri, answer)
    contact = answer.object().get("contact")
    contacts = contact[:_MOST_CONTACTS] if isinstance(contact, list) else []
    return _status(answer), [item for item in contacts if isinstance(item, str)]


async def update(session: Session, contact: list[str]) -> None:
    """Gives the account other contacts (section 7.3.2). Raises any ClientError."""
    answer = await session.post(session.uri, {"contact": contact}, repeatable=True)
    if answer.is_object():
        note_list(session, session.uri, answer)


async def deactivate(session: Session) -> None:
    """Ends the account (section 7.3.6); one that was ended before is well. Raises any ClientError."""
    try:
        await session.post(session.uri, {"status": "deactivated"}, repeatable=True)
    except AcmeError as error:
        # Nothing is signed for such an account, so there is no other way to ask: this is what Boulder and Pebble say.
        if error.type != "unauthorized" or "deactivated" not in error.problem.detail.lower():
            raise
        journal.info("The account was deactivated before")


def _status(answer: Answer) -> str:
    status = answer.object().get("status", "valid")
    if not isinstance(status, str):
        raise Unreachable(answer.url, "answered with an account whose status is not text")
    return status
