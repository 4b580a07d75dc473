# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clients that are not ours ask for: request.py's kinds, in all the forms that lacme has for them.

Here a request about an account is told by its header too: by the key itself it is newAccount (RFC 8555 section 7.3), by
the account's URL it is a change.
"""

from typing import Any

from acmed import base64url
from acmed.keyd import jws
from acmed.keyd.far.header import SigningInput
from acmed.keyd.keys import LocalKey
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
    members,
    of_orders,
)

_UNSPECIFIED = 0  # what a revocation without a reason is for (RFC 5280 section 5.3.1)
_NEW_ACCOUNT = {"contact", "termsOfServiceAgreed", "onlyReturnExisting", "externalAccountBinding"}
_UPDATE = {"contact", "termsOfServiceAgreed", "onlyReturnExisting"}  # lacme sends the same as to newAccount
_JWS = {"protected", "payload", "signature"}


FarRequest = (
    PostAsGet
    | ChallengeAnswer
    | NewOrder
    | NewAuthorization
    | Finalize
    | NewAccount
    | Lookup
    | AccountRead
    | Update
    | Deactivation
    | KeyChange
    | Revocation
)


def understand(wanted: SigningInput, at_account: bool, key: LocalKey) -> FarRequest:
    """The request of a signing input. at_account: it goes to the account's own URL. Raises NotUnderstood."""
    message = members(wanted.payload, "the payload") if wanted.payload else {}
    if wanted.kid is None:
        request = _by_key(message)
    elif at_account:
        request = _at_account(message)
    else:
        request = _elsewhere(message, wanted, key) if message else _empty(wanted)
    if request is None:
        raise NotUnderstood("no request of this form is signed")
    return request


def _empty(wanted: SigningInput) -> FarRequest:
    return ChallengeAnswer() if wanted.payload else PostAsGet()


def _by_key(message: dict[str, Any]) -> FarRequest | None:
    if message.keys() <= _NEW_ACCOUNT and _are_an_accounts(message):
        if message.get("onlyReturnExisting"):
            return Lookup(next=False)
        return NewAccount(tuple(message.get("contact", ())))
    return _deactivation(message) or _revocation(message)


def _at_account(message: dict[str, Any]) -> FarRequest | None:
    if not message.keys() <= _UPDATE or not _are_an_accounts(message):
        return _deactivation(message)
    if message.keys() <= {"onlyReturnExisting"}:
        return AccountRead()
    return Update(tuple(message.get("contact", ())))


def _elsewhere(message: dict[str, Any], wanted: SigningInput, key: LocalKey) -> FarRequest | None:
    if message.keys() == _JWS:
        return _key_change(message, wanted, key)
    return _revocation(message) or of_orders(message)


def _are_an_accounts(message: dict[str, Any]) -> bool:
    """Whether the members that there are have the types of section 7.1.2."""
    contact, bound = message.get("contact", []), message.get("externalAccountBinding", {})
    flags = (message.get(name, True) for name in ("termsOfServiceAgreed", "onlyReturnExisting"))
    return (
        isinstance(contact, list)
        and all(isinstance(item, str) for item in contact)
        and isinstance(bound, dict)
        and all(flag is True for flag in flags)
    )


def _deactivation(message: dict[str, Any]) -> Deactivation | None:
    """Section 7.3.6. lacme sends it to newAccount, too, with the rest of what it was asked for."""
    rest = {name: value for name, value in message.items() if name != "status"}
    ends = message.get("status") == "deactivated" and rest.keys() <= _UPDATE and _are_an_accounts(rest)
    return Deactivation() if ends else None


def _revocation(message: dict[str, Any]) -> Revocation | None:
    found = of_orders({"reason": _UNSPECIFIED} | message) if "certificate" in message else None
    return found if isinstance(found, Revocation) else None


def _key_change(message: dict[str, Any], wanted: SigningInput, key: LocalKey) -> KeyChange:
    """Section 7.3.5: a JWS of the next key, to the same URL, about this account and key."""
    try:
        inner, payload = base64url.decode(message["protected"]), base64url.decode(message["payload"])
    except (AttributeError, base64url.NotBase64Url) as error:
        raise NotUnderstood("the JWS inside is base64url") from error
    header, change = members(inner, "the header inside"), members(payload, "the payload inside")
    if (header.get("url"), change) != (wanted.url, {"account": wanted.kid, "oldKey": key.jwk}):
        raise NotUnderstood("a change of the key is for this URL, account and key")
    if not isinstance(header.get("jwk"), dict):
        raise NotUnderstood("the header inside has the next key as its jwk")
    return KeyChange(jws.thumbprint(header["jwk"]))
