# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is signed: the whole of it. docs/threat-model.md says why.

request               URL                        needs
POST-as-GET           CA's origin, not account   nothing more
POST-as-GET           the account's              a one-shot permit to read the account
challenge answer      CA's origin, not account   nothing more
newOrder              CA's origin, not account   a permit for exactly these identifiers: for an order, with exactly this
                                                 profile, notBefore and notAfter, and this replaces or none; or for
                                                 authorizations, and nothing but the identifiers
newAuthz              CA's origin, not account   a permit for authorizations that has this identifier
finalize              CA's origin, not account   an order permit for exactly this CSR
newAccount            CA's origin, not account   a one-shot permit for these contacts
account lookup        CA's origin, not account   a permit for newAccount or keyChange; by the next key, for keyChange
account update        the account's              a one-shot permit for these contacts
account deactivation  the account's              a one-shot permit
keyChange             CA's origin, not account   a one-shot permit; the next key is the one that root made
revokeCert            CA's origin, not account   a one-shot permit for this certificate and reason
anything else                                    is never signed
"""

import hashlib

from acmed.config import Account
from acmed.keyd.permits import Permit, Permits
from acmed.keyd.request import (
    ChallengeAnswer,
    Deactivation,
    Finalize,
    KeyChange,
    Lookup,
    NewAccount,
    NewAuthorization,
    NewOrder,
    PostAsGet,
    Request,
    Revocation,
    Update,
)
from acmed.keyd.url import check_url, is_account_url


class Refused(Exception):
    """Not signed; the message is the rule that stands against it."""


def allow(request: Request, url: str, payload: bytes, account: Account, permits: Permits) -> str:
    """Returns the rule by which the request may be signed, and counts it. Raises Refused, or NotUnderstood.

    payload is what tells two requests of the same kind from each other: a one-shot permit is for one of them.
    """
    check_url(url, account)
    if account.uri is None and not isinstance(request, NewAccount | Lookup):
        raise Refused("the account is not registered yet")
    seal = hashlib.sha256(url.encode() + b"\0" + payload).hexdigest()
    if is_account_url(url, account):
        return _at_the_account(request, url, seal, account, permits)
    return _elsewhere(request, seal, account, permits)


def _at_the_account(request: Request, url: str, seal: str, account: Account, permits: Permits) -> str:
    if url != account.uri:
        raise Refused("the account's URL is spelled as the CA gave it")
    match request:
        case PostAsGet():
            found = permits.of("read", account.name)
        case Update(contact=contact):
            found = [permit for permit in permits.of("update", account.name) if tuple(permit.contact) == contact]
        case Deactivation():
            found = permits.of("deactivate", account.name)
        case _:
            raise Refused(f"{request.operation} does not go to the account's URL")
    return _use(permits, found, request.operation, f"{request.operation} at the account's URL", seal)


def _elsewhere(request: Request, seal: str, account: Account, permits: Permits) -> str:
    counted = request.operation
    match request:
        case PostAsGet() | ChallengeAnswer():
            return "origin"
        case NewOrder():
            found = [*_authorizing(request, account, permits), *_ordering(request, account, permits)]
            what = "an order for these identifiers, with this profile, notBefore, notAfter and replaces,"
        case NewAuthorization(identifier=identifier):
            found = [permit for permit in permits.of("authorize", account.name) if permit.has(identifier)]
            what, counted = "a newAuthz request for this identifier", f"{counted} {identifier}"
        case Finalize(csr_sha256=digest):
            found = [permit for permit in permits.of("order", account.name) if permit.csr_sha256 == digest]
            what = "a finalize with this CSR"
        case NewAccount(contact=contact):
            found = [permit for permit in permits.of("newAccount", account.name) if tuple(permit.contact) == contact]
            what = "a newAccount request with these contacts"
        case Lookup(next=by_next):
            kinds = ("keyChange",) if by_next else ("newAccount", "keyChange")
            found = [permit for kind in kinds for permit in permits.of(kind, account.name)]
            what = "a lookup of the account by its key"
        case KeyChange():
            found = permits.of("keyChange", account.name)
            what = "a change of the account's key"
        case Revocation(certificate_sha256=digest, reason=reason):
            wanted = (digest, reason)
            found = [
                permit for permit in permits.of("revoke", account.name) if (permit.subject, permit.reason) == wanted
            ]
            what = "a revocation of this certificate with this reason"
        case Update() | Deactivation():
            raise Refused(f"{request.operation} goes to the account's URL")
    one_shot = isinstance(request, NewAccount | KeyChange | Revocation)
    return _use(permits, found, counted, what, seal if one_shot else None)


def _ordering(request: NewOrder, account: Account, permits: Permits) -> list[Permit]:
    return [
        permit
        for permit in permits.of("order", account.name)
        if permit.covers(request.identifiers)
        and (permit.profile, permit.not_before, permit.not_after)
        == (request.profile, request.not_before, request.not_after)
        and request.replaces in (None, permit.replaces)
    ]


def _authorizing(request: NewOrder, account: Account, permits: Permits) -> list[Permit]:
    """An order that is left unfinished asks for nothing but authorizations."""
    if (request.profile, request.not_before, request.not_after, request.replaces) != (None,) * 4:
        return []
    return [permit for permit in permits.of("authorize", account.name) if permit.covers(request.identifiers)]


def _use(permits: Permits, found: list[Permit], counted: str, what: str, seal: str | None) -> str:
    """counted is what the permit's signatures are counted under; seal is for one-shot permits."""
    if not found:
        raise Refused(f"{what} needs a permit")
    for permit in reversed(found):
        if permits.use(permit, counted, seal):
            return f"permit:{permit.kind}:{permit.subject}"
    raise Refused(f"{what} needs a permit, and what there was is used up")
