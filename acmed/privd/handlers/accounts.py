# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts: their keys, configuration and permits."""

import asyncio

from acmed.bus import BusLost, DBusError
from acmed.privd import accounts, lookup, pid1
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.refusal import refusal
from acmed.varlink import Call

_KEYD = "acme-keyd.service"
_RESTART_TIMEOUT = 30.0  # seconds


class Accounts(Turns):
    """The methods that are about an account."""

    async def new_account(
        self,
        _: Call,
        job: int,
        account: str,
        directory: str,
        contact: list[str],
        key_type: str,
        ca_pem: str | None,
    ) -> Answer:
        async with self._account(job, account):
            wish = accounts.checked(account, directory, contact, key_type, ca_pem)
            created = await asyncio.to_thread(accounts.create, self._places, wish)
            await self._restart_keyd(account)
            await self._permits.new_account(account, created.contact)
            return {}

    async def set_account_uri(self, _: Call, job: int, account: str, uri: str) -> Answer:
        async with self._account(job, account):
            known = lookup.account(self._places.configuration(), account)
            if await asyncio.to_thread(accounts.set_uri, self._places, known, uri):
                await self._restart_keyd(account)
            return {}

    async def _restart_keyd(self, account: str) -> None:
        """acme-keyd reads keys and accounts when it starts. Where it does not run, there is nothing to do."""
        try:
            async with pid1.connected() as manager:
                result = await manager.job("TryRestartUnit", _KEYD, "replace", timeout=_RESTART_TIMEOUT)
        except (DBusError, BusLost, TimeoutError) as error:
            result = str(error) or "not done in time"
        if result != pid1.DONE:
            reason = f"restart of {_KEYD}: {result}; see: journalctl -u {_KEYD}"
            raise refusal("KeyUnavailable", account=account, reason=reason)
