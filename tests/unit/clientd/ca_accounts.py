# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts of the CA (RFC 8555 section 7.3), and revocation."""

from typing import TYPE_CHECKING, Any

from tests.unit.clientd import jws
from tests.unit.clientd.ca_parts import Account, Json, Outcome, Refusal

if TYPE_CHECKING:
    from tests.unit.clientd.ca import FaultyCa


def new_account(ca: "FaultyCa", payload: Json, _: str, __: str) -> Outcome:
    key = ca.key()
    if known := ca.account_of(key):
        return 200, {"Location": known}, _show(ca, ca.accounts[known])
    if payload.get("onlyReturnExisting") is True:
        raise Refusal(400, "accountDoesNotExist", "no account has this key")
    if payload.get("termsOfServiceAgreed") is not True:
        raise Refusal(403, "userActionRequired")
    uri = ca.open_account(key, payload["contact"])
    return 201, {"Location": uri}, _show(ca, ca.accounts[uri])


def account(ca: "FaultyCa", payload: Any, uri: str, number: str) -> Outcome:
    """POST-as-GET, the change of contacts, and deactivation."""
    if uri != f"{ca.base}/account/{number}":
        raise Refusal(403, "unauthorized", "another's account")
    known = ca.accounts[uri]
    match payload:
        case "":
            pass
        case {"contact": list(contact), **rest} if not rest:
            known.contact = contact
        case {"status": "deactivated", **rest} if not rest:
            known.status = "deactivated"
        case _:
            raise Refusal(400, "malformed", "what is this?")
    return 200, {}, _show(ca, known)


def key_change(ca: "FaultyCa", payload: Json, uri: str, _: str) -> Outcome:
    """Section 7.3.5. The payload is the inner JWS."""
    inner = jws.header(payload)
    if inner["url"] != ca.base + ca.requests[-1].asked.path:
        raise Refusal(400, "malformed", "another URL inside")
    if "nonce" in inner or not jws.verifies(payload, inner["jwk"]):
        raise Refusal(400, "malformed", "inner JWS")
    if jws.content(payload) != {"account": uri, "oldKey": ca.accounts[uri].key}:
        raise Refusal(400, "malformed", "for another account, or from another key")
    if owner := ca.account_of(inner["jwk"]):
        raise Refusal(409, "conflict", "this key has an account", {"Location": owner})
    ca.accounts[uri].key = inner["jwk"]
    return 200, {}, b""


def revoke(ca: "FaultyCa", payload: Json, _: str, __: str) -> Outcome:
    if payload["certificate"] in ca.revoked:
        raise Refusal(400, "alreadyRevoked")
    ca.revoked.add(payload["certificate"])
    return 200, {}, b""


def _show(ca: "FaultyCa", account: Account) -> Json:
    shown = {"status": account.status, "contact": account.contact}
    return shown | ({"orders": f"{ca.base}/orders/1"} if ca.lists else {})
