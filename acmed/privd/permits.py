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

    async def order(self, account: str, certificate: str, identifiers: tuple[Identifier, ...], csr_sha256: str) -> None:
        """Permits an order for exactly these identifiers and this CSR, in place of an earlier one."""
        await self._call(
            "PermitOrder",
            account,
            certificate=certificate,
            identifiers=[{"type": identifier.type, "value": identifier.value} for identifier in identifiers],
            csrSha256=csr_sha256,
            lifetime=_ORDER_LIFETIME,
        )

    async def new_account(self, account: str, contact: tuple[str, ...]) -> None:
        await self._call("PermitNewAccount", account, contact=list(contact), lifetime=_ONE_SHOT_LIFETIME)

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

    async def _call(self, method: str, account: str, **parameters: Any) -> None:
        try:
            await self._client.call(method, timeout=_TIMEOUT, account=account, **parameters)
        except VarlinkError as error:
            if error.name == "org.acmed.KeyPermit.UnknownAccount":
                raise refusal("NoSuchAccount", account=account) from error
            raise refusal("KeyUnavailable", account=account, reason=f"acme-keyd: {error}") from error
        except (ConnectionLost, TimeoutError) as error:
            reason = f"acme-keyd does not answer ({error or 'timeout'}); see: journalctl -u acme-keyd.service"
            raise refusal("KeyUnavailable", account=account, reason=reason) from error
