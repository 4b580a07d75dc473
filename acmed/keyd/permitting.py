# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.KeyPermit, for root: what acme-privd says that may be signed."""

import re
from collections.abc import Mapping
from typing import Any

from acmed import journal
from acmed.config import Account
from acmed.keyd.keyring import Keyring
from acmed.keyd.permits import Permit, Permits, clock
from acmed.varlink import Call, VarlinkError, invalid_parameter

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_LIFETIME = 30 * 24 * 3600  # seconds

Answer = dict[str, Any]
Identifiers = list[dict[str, str]]


class PermitService:
    """Answers org.acmed.KeyPermit."""

    def __init__(self, accounts: Mapping[str, Account], keyring: Keyring, permits: Permits) -> None:
        self._accounts = accounts
        self._keyring = keyring
        self._permits = permits

    async def permit_order(
        self,
        _: Call,
        account: str,
        certificate: str,
        identifiers: Identifiers,
        csr_sha256: str,
        profile: str | None,
        replaces: str | None,
        not_before: str | None,
        not_after: str | None,
        lifetime: int,
    ) -> Answer:
        permit = self._permit("order", account, certificate, lifetime)
        permit.identifiers = _pairs(identifiers)
        permit.csr_sha256 = _digest(csr_sha256, "csrSha256")
        permit.profile, permit.replaces = profile, replaces
        permit.not_before, permit.not_after = not_before, not_after
        return self._add(permit) | await self._thumbprint(account)

    async def permit_authorize(
        self, _: Call, account: str, subject: str, identifiers: Identifiers, lifetime: int
    ) -> Answer:
        permit = self._permit("authorize", account, subject, lifetime)
        permit.identifiers = _pairs(identifiers)
        return self._add(permit) | await self._thumbprint(account)

    async def permit_new_account(self, _: Call, account: str, contact: list[str], lifetime: int) -> Answer:
        permit = self._permit("newAccount", account, "newAccount", lifetime)
        permit.contact = contact
        return self._add(permit)

    async def permit_read(self, _: Call, account: str, lifetime: int) -> Answer:
        return self._add(self._permit("read", account, "read", lifetime))

    async def permit_update(self, _: Call, account: str, contact: list[str], lifetime: int) -> Answer:
        permit = self._permit("update", account, "update", lifetime)
        permit.contact = contact
        return self._add(permit)

    async def permit_deactivate(self, _: Call, account: str, lifetime: int) -> Answer:
        return self._add(self._permit("deactivate", account, "deactivate", lifetime))

    async def permit_key_change(self, _: Call, account: str, lifetime: int) -> Answer:
        return self._add(self._permit("keyChange", account, "keyChange", lifetime))

    async def permit_revoke(self, _: Call, account: str, certificate_sha256: str, reason: int, lifetime: int) -> Answer:
        permit = self._permit("revoke", account, _digest(certificate_sha256, "certificateSha256"), lifetime)
        permit.reason = reason
        return self._add(permit)

    async def drop_order(self, _: Call, account: str, certificate: str) -> Answer:
        self._permits.drop("order", account, certificate)
        self._permits.drop("authorize", account, certificate)
        return {}

    def _permit(self, kind: str, account: str, subject: str, lifetime: int) -> Permit:
        if account not in self._accounts:
            raise VarlinkError("org.acmed.KeyPermit.UnknownAccount", account=account)
        if not 0 < lifetime <= _MAX_LIFETIME:
            raise invalid_parameter("lifetime")
        return Permit(kind, account, subject, clock() + lifetime)

    async def _thumbprint(self, account: str) -> Answer:
        try:
            key = await self._keyring.find(self._accounts[account])
        except VarlinkError as error:
            journal.warning("The key of account %s cannot be used: %s", account, error, account=account)
            return {"thumbprint": None}
        return {"thumbprint": key.thumbprint}

    def _add(self, permit: Permit) -> Answer:
        self._permits.add(permit)
        journal.info(
            "Permit for account %s: %s %s", permit.account, permit.kind, permit.subject, account=permit.account
        )
        return {}


def _pairs(identifiers: Identifiers) -> list[list[str]]:
    if not identifiers:
        raise invalid_parameter("identifiers")
    return [[identifier["type"], identifier["value"]] for identifier in identifiers]


def _digest(text: str, parameter: str) -> str:
    if not _SHA256.fullmatch(text):
        raise invalid_parameter(parameter)
    return text
