# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is signed for a client: the whole of it. acme-keyd(8) has this table too.

request               URL                        needs in operations       and
POST-as-GET           CA's origin, not account   -
challenge answer      CA's origin, not account   -
account lookup        CA's origin, not account   -                         no hide-jwk
newOrder, newAuthz    CA's origin, not account   order or authorize        each identifier is one of the names
finalize              CA's origin, not account   order                     each name in the CSR is one of the names
newAccount            CA's origin, not account   newAccount                no hide-jwk
account read          the account's              read                      no hide-jwk
account update        the account's              update                    no hide-jwk
account deactivation  the account's              deactivate                no hide-jwk
keyChange             CA's origin, not account   keyChange                 no hide-jwk
revokeCert            CA's origin, not account   revoke                    each name in the certificate is one of the
                                                                           names
anything else                                    is never signed
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from acmed.config import Account
from acmed.config.model import DIRECTORIES, origin
from acmed.keyd.far.header import SigningInput
from acmed.keyd.far.names import Glob, read
from acmed.keyd.far.request import FarRequest
from acmed.keyd.policy import Refused
from acmed.keyd.request import (
    AccountRead,
    ChallengeAnswer,
    Deactivation,
    Finalize,
    KeyChange,
    Lookup,
    NewAccount,
    NewAuthorization,
    NewOrder,
    NotUnderstood,
    PostAsGet,
    Revocation,
    Update,
)
from acmed.keyd.url import check_url, is_account_url
from acmed.names import Identifier, InvalidName

# The words are those of the permits that acme-privd leaves at acme-keyd.service.
OPERATIONS = ("order", "authorize", "newAccount", "read", "update", "deactivate", "keyChange", "revoke")
ABOUT_THE_ACCOUNT = ("newAccount", "read", "update", "deactivate", "keyChange")

_MAX_NAMES = 100
_NEEDED: dict[type[FarRequest], tuple[str, ...]] = {
    NewOrder: ("order", "authorize"),
    NewAuthorization: ("order", "authorize"),
    Finalize: ("order",),
    NewAccount: ("newAccount",),
    AccountRead: ("read",),
    Update: ("update",),
    Deactivation: ("deactivate",),
    KeyChange: ("keyChange",),
    Revocation: ("revoke",),
}


@dataclass(frozen=True)
class Policy:
    """[policy] or [client.NAME]. name is empty for [policy]. signatures: at most, in an hour.

    directories are URLs, of which the origins count. key is the name of [key.NAME].
    """

    name: str = ""
    key: str = ""
    directories: tuple[str, ...] = tuple(DIRECTORIES.values())
    names: tuple[Glob, ...] = ()
    operations: frozenset[str] = field(default_factory=lambda: frozenset({"order"}))
    signatures: int = 1000
    hide_jwk: bool = False


def account_of(wanted: SigningInput, policy: Policy, name: str, uri: str | None) -> Account:
    """The account that a request is by, whose CA and URL it has to go to. uri is configuration's, or None: then it is
    what the header's kid says. Raises NotUnderstood.
    """
    if wanted.kid is not None and uri not in (None, wanted.kid):
        raise NotUnderstood("the protected header's kid is the account's URL")
    account = Account(name, _directory(wanted.url, policy), uri=wanted.kid or uri)
    check_url(wanted.url, account)
    if wanted.kid is not None:
        check_url(wanted.kid, account)
    return account


def allow(wanted: SigningInput, request: FarRequest, account: Account, policy: Policy) -> str:
    """Returns the rule by which the request may be signed. Raises Refused."""
    at_account = is_account_url(wanted.url, account)
    if policy.hide_jwk and (at_account or wanted.kid is None or isinstance(request, KeyChange)):
        raise Refused("with hide-jwk nothing is signed that could show or change the account's key")
    if isinstance(request, AccountRead | Update) or (isinstance(request, Deactivation) and wanted.kid is not None):
        if wanted.url != account.uri:
            raise Refused(f"{request.operation} goes to the account's URL, spelled as the CA gave it")
    elif at_account:
        raise Refused(f"{request.operation} does not go to the account's URL")
    if isinstance(request, PostAsGet | ChallengeAnswer | Lookup):
        return "origin"
    needed = [word for word in _NEEDED[type(request)] if word in policy.operations]
    if not needed:
        raise Refused(f"{request.operation} needs {' or '.join(_NEEDED[type(request)])} in operations")
    _check_names(request, policy)
    return f"policy:{policy.name}:{needed[0]}" if policy.name else f"policy:{needed[0]}"


def _directory(url: str, policy: Policy) -> str:
    """The one at the same origin."""
    try:
        found = [directory for directory in policy.directories if origin(directory) == origin(url)]
    except ValueError:
        found = []
    if not found:
        raise NotUnderstood("the URL is of the origin of one of the directories")
    return found[0]


def _check_names(request: FarRequest, policy: Policy) -> None:
    """Raises Refused unless the policy allows all of them."""
    try:
        identifiers = [read(identifier) for identifier in _names(request)]
    except InvalidName as error:
        raise Refused(str(error)) from error
    for identifier in identifiers:
        if not any(glob.allows(identifier) for glob in policy.names):
            raise Refused(f"{identifier.value} is none of the names that are allowed")


def _names(request: FarRequest) -> Iterable[Identifier]:
    """What a request is for. Raises Refused."""
    match request:
        case NewOrder(identifiers=identifiers):
            if not 1 <= len(identifiers) <= _MAX_NAMES:
                raise Refused(f"an order is for 1 to {_MAX_NAMES} names, not for {len(identifiers)}")
            return identifiers
        case NewAuthorization(identifier=identifier):
            return [identifier]
        case Finalize(csr=der):
            from acmed.keyd.far.subjects import of_request  # noqa: PLC0415  its libraries load slowly: few runs need it

            return of_request(der)
        case Revocation(certificate=der):
            from acmed.keyd.far.subjects import of_certificate  # noqa: PLC0415  as above

            return of_certificate(der)
    return ()
