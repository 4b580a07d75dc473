# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each signature, and each that was not given, as an entry of the journal, whatever the level of logging."""

import syslog
from typing import Any

from acmed.journal import Entry, printable
from acmed.keyd.request import AccountRead, Finalize, KeyChange, NewAuthorization, NewOrder, Request, Revocation
from acmed.varlink import Call

# Entries of the catalog, units/acmed.catalog. What a far acme-keyd refuses is another matter than what ours does.
MESSAGE_SIGNED = "5f2a5d0ab2b24c2d8f1c7c9e0f6b2a11"
MESSAGE_REFUSED = "0c7e6a0f4d3f4d4bb1c5a6f2a9e8d712"
MESSAGE_FAR_REFUSED = "70c83ff7b5c8432b876c35df5359b49f"
MESSAGE_UNAVAILABLE = "f858a513bdb7426e9e4e98d4dd0e4148"

_MAX_URL = 2048
# Characters that are kept of what was refused, which can be as long as a peer likes.
_MAX_REFUSED = 500

Audited = Request | AccountRead


def signed(peer: Call, account: str, url: str, request: Audited, rule: str) -> Entry:
    text = f"Signed {request.operation} for account {account} by {rule}"
    return Entry(syslog.LOG_INFO, text, MESSAGE_SIGNED, details(peer, account, url, request) | {"rule": rule})


def refused(peer: Call, account: str, url: str, request: Audited | None, rule: str) -> Entry:
    """request is None where it was not understood."""
    text = f"Refused to sign {request.operation if request else 'a request'} for account {account}: {brief(rule)}"
    fields = details_of_refusal(peer, account, url, request) | {"rule": brief(rule)}
    return Entry(syslog.LOG_WARNING, text, MESSAGE_REFUSED, fields)


def unavailable(peer: Call, account: str, url: str, request: Audited, rule: str, reason: str) -> Entry:
    """It was allowed by the rule, and there is no signature: the key could not be used."""
    text = f"Could not sign {request.operation} for account {account}: {reason}"
    fields = details(peer, account, url, request) | {"rule": rule, "reason": reason}
    return Entry(syslog.LOG_WARNING, text, MESSAGE_UNAVAILABLE, fields)


def details(peer: Call, account: str, url: str, request: Audited | None) -> dict[str, Any]:
    """What the fields are of what was allowed, beside its rule."""
    found: dict[str, Any] = {"account": account, "url": url[:_MAX_URL], "peer_uid": peer.uid, "peer_pid": peer.pid}
    if request:
        found["operation"] = request.operation
    match request:
        case NewOrder(identifiers=identifiers):
            found["identifiers"] = " ".join(sorted(str(identifier) for identifier in identifiers))
        case NewAuthorization(identifier=identifier):
            found["identifiers"] = str(identifier)
        case Finalize(csr_sha256=digest):
            found["csr_sha256"] = digest
        case Revocation(certificate_sha256=digest):
            found["certificate_sha256"] = digest
        case KeyChange(thumbprint=thumbprint):
            found["next_key"] = thumbprint
    return found


def details_of_refusal(peer: Call, account: str, url: str, request: Audited | None) -> dict[str, Any]:
    """The same of what was refused."""
    found = details(peer, account, url, request)
    return found | {name: brief(found[name]) for name in ("url", "identifiers") if name in found}


def brief(text: str) -> str:
    """As much of it as is kept of a refusal, in ASCII."""
    shown = printable(text[: _MAX_REFUSED + 1]).encode("ascii", "backslashreplace").decode()
    return shown if len(shown) <= _MAX_REFUSED else f"{shown[:_MAX_REFUSED]}..."
