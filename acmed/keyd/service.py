# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two faces of acme-keyd: org.acmed.Key for acme-clientd, org.acmed.KeyPermit for root."""

import re
from collections.abc import Mapping
from typing import Any

from acmed import journal
from acmed.config import Account
from acmed.keyd import jws
from acmed.keyd.keys import Key
from acmed.keyd.permits import Permit, Permits, clock
from acmed.keyd.policy import Refused, allow
from acmed.keyd.request import Finalize, NewAccount, NewOrder, NotUnderstood, Request, Revocation, understand
from acmed.varlink import Call, VarlinkError

# Entries of the catalog, units/acmed.catalog.
MESSAGE_SIGNED = "5f2a5d0ab2b24c2d8f1c7c9e0f6b2a11"
MESSAGE_REFUSED = "0c7e6a0f4d3f4d4bb1c5a6f2a9e8d712"

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_LIFETIME = 30 * 24 * 3600  # seconds


class KeyService:
    """org.acmed.Key"""

    def __init__(self, accounts: Mapping[str, Account], keys: Mapping[str, Key], permits: Permits) -> None:
        self._accounts = accounts
        self._keys = keys
        self._permits = permits

    async def get_account(self, _: Call, account: str) -> dict[str, Any]:
        configured, key = self._find(account)
        return {
            "jwk": key.jwk,
            "thumbprint": key.thumbprint,
            "algorithm": key.algorithm,
            "uri": configured.uri,
        }

    async def sign(self, peer: Call, account: str, url: str, nonce: str, payload: str) -> dict[str, Any]:
        configured, key = self._find(account)
        request: Request | None = None
        try:
            if not _NONCE.fullmatch(nonce):
                raise NotUnderstood("a nonce is base64url (RFC 8555 section 6.5.1)")
            body = jws.decode(payload)
            request = understand(body)
            rule = allow(request, url, body, configured, self._permits)
        except (NotUnderstood, Refused, jws.NotBase64Url) as error:
            _log_refused(peer, account, url, request, str(error))
            raise VarlinkError("org.acmed.Key.NotPermitted", account=account, rule=str(error)) from error
        names: dict[str, Any] = {"jwk": key.jwk} if isinstance(request, NewAccount) else {"kid": configured.uri}
        protected = jws.protected_header(key.algorithm, nonce, url, **names)
        signature = key.sign(f"{protected}.{payload}".encode())
        journal.info(
            "Signed %s for account %s by %s",
            request.operation,
            account,
            rule,
            message_id=MESSAGE_SIGNED,
            **_details(peer, account, url, request),
        )
        return {"protected": protected, "payload": payload, "signature": jws.encode(signature)}

    def _find(self, name: str) -> tuple[Account, Key]:
        account = self._accounts.get(name)
        if account is None:
            raise VarlinkError("org.acmed.Key.UnknownAccount", account=name)
        key = self._keys.get(name)
        if key is None:
            reason = f"acme-keyd has no usable key for it; run acmectl account add {name} or see its journal"
            raise VarlinkError("org.acmed.Key.KeyUnavailable", account=name, reason=reason)
        return account, key


class PermitService:
    """org.acmed.KeyPermit"""

    def __init__(self, accounts: Mapping[str, Account], permits: Permits) -> None:
        self._accounts = accounts
        self._permits = permits

    async def permit_order(
        self, _: Call, account: str, certificate: str, identifiers: list[dict[str, str]], csr_sha256: str, lifetime: int
    ) -> dict[str, Any]:
        if not identifiers:
            raise _invalid("identifiers")
        pairs = [[identifier["type"], identifier["value"]] for identifier in identifiers]
        permit = self._permit("order", account, certificate, lifetime)
        permit.identifiers, permit.csr_sha256 = pairs, _digest(csr_sha256, "csrSha256")
        return self._add(permit)

    async def permit_new_account(self, _: Call, account: str, contact: list[str], lifetime: int) -> dict[str, Any]:
        permit = self._permit("newAccount", account, "newAccount", lifetime)
        permit.contact = contact
        return self._add(permit)

    async def permit_revoke(
        self, _: Call, account: str, certificate_sha256: str, reason: int, lifetime: int
    ) -> dict[str, Any]:
        permit = self._permit("revoke", account, _digest(certificate_sha256, "certificateSha256"), lifetime)
        permit.reason = reason
        return self._add(permit)

    async def drop_order(self, _: Call, account: str, certificate: str) -> dict[str, Any]:
        self._permits.drop("order", account, certificate)
        return {}

    def _permit(self, kind: str, account: str, subject: str, lifetime: int) -> Permit:
        if account not in self._accounts:
            raise VarlinkError("org.acmed.KeyPermit.UnknownAccount", account=account)
        if not 0 < lifetime <= _MAX_LIFETIME:
            raise _invalid("lifetime")
        return Permit(kind, account, subject, clock() + lifetime)

    def _add(self, permit: Permit) -> dict[str, Any]:
        self._permits.add(permit)
        journal.info(
            "Permit for account %s: %s %s", permit.account, permit.kind, permit.subject, account=permit.account
        )
        return {}


def _digest(text: str, parameter: str) -> str:
    if not _SHA256.fullmatch(text):
        raise _invalid(parameter)
    return text


def _invalid(parameter: str) -> VarlinkError:
    return VarlinkError("org.varlink.service.InvalidParameter", parameter=parameter)


def _log_refused(peer: Call, account: str, url: str, request: Request | None, rule: str) -> None:
    journal.warning(
        "Refused to sign %s for account %s: %s",
        request.operation if request else "a request",
        account,
        rule,
        message_id=MESSAGE_REFUSED,
        rule=rule,
        **_details(peer, account, url, request),
    )


def _details(peer: Call, account: str, url: str, request: Request | None) -> dict[str, Any]:
    details: dict[str, Any] = {"account": account, "url": url[:2048], "peer_uid": peer.uid, "peer_pid": peer.pid}
    if request:
        details["operation"] = request.operation
    match request:
        case NewOrder(identifiers=identifiers):
            details["identifiers"] = " ".join(sorted(str(identifier) for identifier in identifiers))
        case Finalize(csr_sha256=digest):
            details["csr_sha256"] = digest
        case Revocation(certificate_sha256=digest):
            details["certificate_sha256"] = digest
    return details
