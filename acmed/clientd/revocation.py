# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocation (RFC 8555 section 7.6), signed with the account's key or, elsewhere, with the certificate's."""

from collections.abc import Mapping

from acmed import base64url, journal
from acmed.clientd.ca import objects
from acmed.clientd.ca.authority import Authority
from acmed.clientd.ca.patience import persist
from acmed.clientd.ca.session import Session
from acmed.clientd.errors import AcmeError

_RESOURCE = "revokeCert"


async def revoke(session: Session, der: bytes, reason: int) -> None:
    """Revokes a certificate; one that was revoked already is well. reason: RFC 5280 section 5.3.1."""
    try:
        await session.post_to(_RESOURCE, {"certificate": base64url.encode(der), "reason": reason})
    except AcmeError as error:
        _pardon(error)


async def prepare(authority: Authority) -> tuple[str, str]:
    """Where a request that is signed elsewhere goes, and a nonce for it. Raises any ClientError."""
    url = await authority.resources.url(_RESOURCE)
    return url, await persist(authority.nonce, authority.patience(repeatable=True))


async def send(authority: Authority, jws: Mapping[str, str]) -> None:
    """Sends that request, once: its nonce is good for no more. Raises any ClientError."""
    url = await authority.resources.url(_RESOURCE)
    answer = await authority.exchange("POST", url, authority.patience(repeatable=False).left, jws=jws)
    if answer.status >= 400:
        _pardon(objects.refusal(answer))


def _pardon(error: AcmeError) -> None:
    if error.type != "alreadyRevoked":
        raise error
    journal.info("The certificate was revoked before")
