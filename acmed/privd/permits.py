# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tells acme-keyd what root asked for."""

from pathlib import Path
from typing import Any

from acmed import journal, varlink
from acmed.names import Identifier
from acmed.privd.refusal import refusal
from acmed.varlink import ConnectionLost, VarlinkError

# An order's authorizations and the order itself last about a week at public CAs; a resumed one needs the permit.
_ORDER_LIFETIME = 7 * 24 * 3600
_ONE_SHOT_LIFETIME = 3600
_TIMEOUT = 15.0  # acme-keyd may have to start, and restart after a failure


class Permits:
    """org.acmed.KeyPermit. Every method but drop_order raises NoSuchAccount or KeyUnavailable."""

    def __init__(self, socket: Path) -> None:
        self._client = varlink.Client(varlink.load("org.acmed.KeyPermit"), socket)

    async def order(
        self,
        account: str,
        certificate: str,
        identifiers: tuple[Identifier, ...],
        csr_sha256: str,
        profile: str | None = None,
        not_before: str | None = None,
        not_after: str | None = None,
        replaces: str | None = None,
    ) -> str | None:
        """Permits an order for exactly these identifiers and this CSR, in place of an earlier one. The answer is the
        thumbprint of the account's key, None where that cannot be used now.

        not_before and not_after are in the form of RFC 3339, replaces is a certID (RFC 9773 section 4.1).
        """
        answer = await self._call(
            "PermitOrder",
            account,
            certificate=certificate,
            identifiers=_listed(identifiers),
            csrSha256=csr_sha256,
            profile=profile,
            notBefore=not_before,
            notAfter=not_after,
            replaces=replaces,
            lifetime=_ORDER_LIFETIME,
        )
        return _thumbprint(answer)

    async def authorize(self, account: str, subject: str, identifiers: tuple[Identifier, ...]) -> str | None:
        """Permits authorizations for these identifiers without a certificate, in place of earlier ones. The answer is
        as for an order.
        """
        answer = await self._call(
            "PermitAuthorize",
            account,
            subject=subject,
            identifiers=_listed(identifiers),
            lifetime=_ORDER_LIFETIME,
        )
        return _thumbprint(answer)

    async def new_account(self, account: str, contact: tuple[str, ...]) -> None:
        await self._call("PermitNewAccount", account, contact=list(contact), lifetime=_ONE_SHOT_LIFETIME)

    async def read(self, account: str) -> None:
        await self._call("PermitRead", account, lifetime=_ONE_SHOT_LIFETIME)

    async def update(self, account: str, contact: tuple[str, ...]) -> None:
        await self._call("PermitUpdate", account, contact=list(contact), lifetime=_ONE_SHOT_LIFETIME)

    async def deactivate(self, account: str) -> None:
        await self._call("PermitDeactivate", account, lifetime=_ONE_SHOT_LIFETIME)

    async def key_change(self, account: str) -> None:
        await self._call("PermitKeyChange", account, lifetime=_ONE_SHOT_LIFETIME)

    async def revoke(self, account: str, certificate_sha256: str, reason: int) -> None:
        await self._call(
            "PermitRevoke",
            account,
            certificateSha256=certificate_sha256,
            reason=reason,
            lifetime=_ONE_SHOT_LIFETIME,
        )

    async def drop_order(self, account: str, certificate: str) -> None:
        """Ends the permit for an order. Where that fails it ends by its lifetime, so nobody is bothered."""
        try:
            await self._client.call("DropOrder", timeout=_TIMEOUT, account=account, certificate=certificate)
        except (VarlinkError, ConnectionLost, TimeoutError) as error:
            journal.notice("Cannot end the permit for %s: %s", certificate, error)

    async def _call(self, method: str, account: str, **parameters: Any) -> dict[str, Any]:
        try:
            return await self._client.call(method, timeout=_TIMEOUT, account=account, **parameters)
        except VarlinkError as error:
            if error.name == "org.acmed.KeyPermit.UnknownAccount":
                raise refusal("NoSuchAccount", account=account) from error
            raise refusal("KeyUnavailable", account=account, reason=f"acme-keyd: {error}") from error
        except (ConnectionLost, TimeoutError) as error:
            reason = f"acme-keyd does not answer ({str(error) or 'timeout'}); see: journalctl -u acme-keyd.service"
            raise refusal("KeyUnavailable", account=account, reason=reason) from error


def _thumbprint(answer: dict[str, Any]) -> str | None:
    found: str | None = answer["thumbprint"]
    return found


def _listed(identifiers: tuple[Identifier, ...]) -> list[dict[str, str]]:
    return [{"type": identifier.type, "value": identifier.value} for identifier in identifiers]
