# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done with an account itself: newAccount (RFC 8555 section 7.3), and revocation (section 7.6)."""

from dataclasses import dataclass

from acmed import journal
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.session import Session, b64url


@dataclass(frozen=True)
class Registered:
    """uri: the account's URL. terms: the URL of the terms of service that were agreed to, None if the CA has none."""

    uri: str
    status: str
    terms: str | None


async def register(session: Session) -> Registered:
    """Opens the account, or finds the one that its key already has. Raises any ClientError."""
    directory = await session.authority.directory()
    payload = {"termsOfServiceAgreed": True, "contact": list(session.account.contact)}
    answer = await session.post(await session.authority.resource("newAccount"), payload)
    uri = session.location(answer)
    status = answer.object().get("status", "valid")
    if not isinstance(status, str):
        raise Unreachable(answer.url, "answered with an account whose status is not text")
    journal.info("The account is %s", "registered" if answer.status == 201 else f"known to the CA and {status}")
    return Registered(uri, status, directory.meta.terms_of_service)


async def revoke(session: Session, der: bytes, reason: int) -> None:
    """Revokes a certificate; one that was revoked already is well. reason: RFC 5280 section 5.3.1."""
    payload = {"certificate": b64url(der), "reason": reason}
    try:
        await session.post(await session.authority.resource("revokeCert"), payload)
    except AcmeError as error:
        if error.type != "alreadyRevoked":
            raise
        journal.info("The certificate was revoked before")
