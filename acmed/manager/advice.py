# SPDX-License-Identifier: LGPL-2.1-or-later
"""What to do about an error of a CA, by its type (RFC 8555 section 6.7, and the documents that add to it)."""

from collections.abc import Iterable

_REACH = "see that the CA reaches this host under that name: its A and AAAA records, the port, and what forwards it"

_BY_TYPE = {
    "accountDoesNotExist": "the CA does not know the account (any more): add it again with acmectl account add",
    "badCSR": "the CA takes no such CSR: look at key-type, must-staple, common-name and subject",
    "badPublicKey": "the CA takes no such key: renew with a new key, or set another key-type; for an account, take "
    "another --key-type",
    "badRevocationReason": "give another reason; most CAs take superseded",
    "badSignatureAlgorithm": "the CA takes no account keys of this type: take another --key-type",
    "caa": "a CAA record of the name or of one above it forbids this CA or this kind of validation: change it, or take "
    "another CA",
    "connection": _REACH,
    "dns": "see that public DNS answers for that name, that DNSSEC is right, and that the name has what the challenge "
    "asks for",
    "externalAccountRequired": "make an account at the CA's web site, and add it here with the key id and HMAC key "
    "that it shows",
    "incorrectResponse": _REACH + "; something else answered",
    "invalidContact": "give a mail address that the CA takes",
    "invalidProfile": "set another profile; the CA's directory lists what there is",
    "malformed": "the CA does not take the request: look at the names and settings that it speaks of, and at directory "
    "where it speaks of a page; where it speaks of none, report it, with the journal of acme-clientd",
    "orderNotReady": "the CA has not validated every name yet: order again",
    "rateLimited": "wait; trying again before makes it longer",
    "rejectedIdentifier": "the CA does not issue for that name: leave it out, or take another CA",
    "serverInternal": "the CA has a problem of its own, which may be over later",
    "tls": _REACH + ", and that no other program answers TLS there",
    "unauthorized": "see that nothing else answers for that name: old addresses (AAAA too), a proxy, or records of "
    "another host; over DNS, at every name server of the zone",
    "unsupportedContact": "give a mail address (mailto:)",
    "unsupportedIdentifier": "the CA does not issue for names or addresses of this type: take another CA",
    "userActionRequired": "open the page that the CA names, most often new terms of service, and agree there or with "
    "--agree-tos",
}
# What CAs say to a key of a type that they do not take; what two of these say else is about an order.
_BAD_KEY = ("badPublicKey", "badSignatureAlgorithm", "malformed", "unauthorized")
_OTHER_TYPE = "roll the account over to a key of another type (acmectl account rollover --key-type)"
# Let's Encrypt's word for a pair of account and name that has failed a thousand times in a row.
_PAUSED = "the CA waits for a person: open that page, and let it go on"


def to_do(kinds: Iterable[str], detail: str) -> str:
    """For the types of a problem and what the CA said; empty where nothing is known."""
    texts = [_BY_TYPE[kind] for kind in dict.fromkeys(kinds) if kind in _BY_TYPE]
    if "rateLimited" in kinds and "/unpause" in detail:
        texts = [_PAUSED]
    return "; ".join(dict.fromkeys(texts))


def about_next_key(kind: str, detail: str) -> str:
    """For the refusal of the key that was to follow an account's: its type, and what the CA said."""
    hint = "" if kind in _BAD_KEY else to_do([kind], detail)
    return hint or _OTHER_TYPE
