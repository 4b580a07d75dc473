# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is signed: the whole of it. docs/threat-model.md says why.

request             URL                        needs
POST-as-GET         CA's origin, not account   nothing more
challenge answer    CA's origin, not account   nothing more
newOrder            CA's origin, not account   an order permit for exactly these identifiers
finalize            CA's origin, not account   an order permit for exactly this CSR
newAccount          CA's origin                a one-shot permit for these contacts
revokeCert          CA's origin, not account   a one-shot permit for this certificate and reason
anything else                                  is never signed
"""

import hashlib

from acmed.config import Account
from acmed.keyd.permits import Permit, Permits
from acmed.keyd.request import (
    ChallengeAnswer,
    Finalize,
    NewAccount,
    NewOrder,
    PostAsGet,
    Request,
    Revocation,
    check_url,
    is_account_url,
)


class Refused(Exception):
    """Not signed; the message is the rule that stands against it."""


def allow(request: Request, url: str, payload: bytes, account: Account, permits: Permits) -> str:
    """Returns the rule by which the request may be signed, and counts it. Raises Refused, or NotUnderstood."""
    check_url(url, account)
    if not isinstance(request, NewAccount):
        if account.uri is None:
            raise Refused("the account is not registered yet")
        if is_account_url(url, account):
            raise Refused("the account's URL needs a permit of its own")
    match request:
        case PostAsGet() | ChallengeAnswer():
            return "origin"
        case NewOrder(identifiers=identifiers):
            found = [permit for permit in permits.of("order", account.name) if permit.covers(identifiers)]
            return _use(permits, found, request, "an order for these identifiers needs a permit")
        case Finalize(csr_sha256=digest):
            found = [permit for permit in permits.of("order", account.name) if permit.csr_sha256 == digest]
            return _use(permits, found, request, "a finalize with this CSR needs a permit")
        case NewAccount(contact=contact):
            found = [permit for permit in permits.of("newAccount", account.name) if tuple(permit.contact) == contact]
            rule = "a newAccount request with these contacts needs a permit"
            return _use(permits, found, request, rule, _seal(url, payload))
        case Revocation(certificate_sha256=digest, reason=reason):
            found = [
                permit
                for permit in permits.of("revoke", account.name)
                if (permit.subject, permit.reason) == (digest, reason)
            ]
            rule = "a revocation of this certificate with this reason needs a permit"
            return _use(permits, found, request, rule, _seal(url, payload))


def _use(permits: Permits, found: list[Permit], request: Request, rule: str, seal: str | None = None) -> str:
    if not found:
        raise Refused(rule)
    if not permits.use(found[-1], request.operation, seal):
        raise Refused(f"{rule}, and the one there is was used up")
    return f"permit:{found[-1].kind}:{found[-1].subject}"


def _seal(url: str, payload: bytes) -> str:
    return hashlib.sha256(url.encode() + b"\0" + payload).hexdigest()
