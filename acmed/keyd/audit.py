# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each signature and each refusal as an entry of the journal."""

from typing import Any

from acmed import journal
from acmed.keyd.request import AccountRead, Finalize, KeyChange, NewAuthorization, NewOrder, Request, Revocation
from acmed.varlink import Call

# Entries of the catalog, units/acmed.catalog.
MESSAGE_SIGNED = "5f2a5d0ab2b24c2d8f1c7c9e0f6b2a11"
MESSAGE_REFUSED = "0c7e6a0f4d3f4d4bb1c5a6f2a9e8d712"

_MAX_URL = 2048


def signed(peer: Call, account: str, url: str, request: Request, rule: str) -> None:
    journal.info(
        "Signed %s for account %s by %s",
        request.operation,
        account,
        rule,
        message_id=MESSAGE_SIGNED,
        rule=rule,
        **details(peer, account, url, request),
    )


def refused(peer: Call, account: str, url: str, request: Request | None, rule: str) -> None:
    """request is None where it was not understood."""
    journal.warning(
        "Refused to sign %s for account %s: %s",
        request.operation if request else "a request",
        account,
        rule,
        message_id=MESSAGE_REFUSED,
        rule=rule,
        **details(peer, account, url, request),
    )


def details(peer: Call, account: str, url: str, request: Request | AccountRead | None) -> dict[str, Any]:
    """What the entry's fields are, beside its rule."""
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
