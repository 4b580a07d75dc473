# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts: their keys, configuration and permits."""

import asyncio

from acmed.bus import BusLost, DBusError
from acmed.config.identifiers import MAX_NAMES
from acmed.names import Identifier, InvalidName
from acmed.privd import lookup, pid1
from acmed.privd.accounts import accountimport, accounts, bindings, retirement, rollover, seal
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.refusal import refusal
from acmed.varlink import Call, VarlinkError, invalid_parameter

_KEYD = "acme-keyd.service"
_RESTART_TIMEOUT = 30.0  # seconds


class Accounts(Turns):
    """The methods that are about an account."""

    async def new_account(
        self,
        _: Call,
        job: int,
        account: str,
        directory: str | None,
        contact: list[str],
        key_type: str | None,
        ca_pem: str | None,
    ) -> Answer:
        async with self._account(job, account):
            wish = accounts.checked(account, directory, contact, key_type, ca_pem)
            created = await asyncio.to_thread(accounts.create, self._places, wish)
            try:
                await self._restart_keyd(account)
                await self._permits.new_account(account, created.contact)
            except VarlinkError as error:
                raise await self._with_cause(error, account) from error
            return {}

    async def seal_binding(
        self, _: Call, job: int, account: str, directory: str, key_id: str, hmac_key: str, algorithm: str
    ) -> Answer:
        """acme-keyd reads it when NewAccount starts it again."""
        async with self._account(job, account):
            url = accounts.checked_directory(directory)
            accounts.check_directory(self._places, account, url)
            wish = bindings.checked(url, key_id, hmac_key, algorithm)
            await asyncio.to_thread(bindings.seal_binding, self._places, account, wish)
            return {}

    async def import_account_key(self, _: Call, job: int, account: str, directory: str, key: str) -> Answer:
        """acme-keyd reads it when NewAccount starts it again."""
        async with self._account(job, account):
            accounts.check_directory(self._places, account, accounts.checked_directory(directory))
            known = self._places.configuration().accounts.get(account)
            if known:
                accounts.check_key_is_ours(known)
            pem = await asyncio.to_thread(accountimport.checked, key)
            await asyncio.to_thread(accountimport.seal_key, self._places, account, pem)
            return {}

    async def set_account_uri(self, _: Call, job: int, account: str, uri: str) -> Answer:
        async with self._account(job, account):
            known = lookup.account(self._places.configuration(), account)
            if await asyncio.to_thread(accounts.set_uri, self._places, known, uri):
                await self._restart_keyd(account)
            return {}

    async def permit_account(self, _: Call, job: int, account: str, operation: str, contact: list[str]) -> Answer:
        async with self._account(job, account):
            accounts.registered(self._places, account)
            match operation:
                case "read":
                    await self._permits.read(account)
                case "update":
                    wanted = accounts.checked_contact(contact)
                    accounts.check_contact_is_ours(self._places, account)
                    await self._permits.update(account, wanted)
                case "deactivate":
                    retirement.check(self._places, account)
                    await self._permits.deactivate(account)
                case _:
                    raise invalid_parameter("operation")
            return {}

    async def set_contact(self, _: Call, job: int, account: str, contact: list[str]) -> Answer:
        async with self._account(job, account):
            known = lookup.account(self._places.configuration(), account)
            wanted = accounts.checked_contact(contact)
            await asyncio.to_thread(accounts.set_contact, self._places, known, wanted)
            return {}

    async def new_account_key(self, _: Call, job: int, account: str, key_type: str) -> Answer:
        async with self._account(job, account):
            accounts.check_key_is_ours(accounts.registered(self._places, account))
            wanted = accounts.checked_key_type(key_type)
            made = await asyncio.to_thread(rollover.make_next_key, self._places, account, wanted)
            await self._restart_keyd(account)
            await self._permits.key_change(account)
            return {"keyType": made}

    async def drop_account_key(self, _: Call, job: int, account: str) -> Answer:
        """acme-keyd, which reads it again, signs nothing more for that key."""
        async with self._account(job, account):
            await asyncio.to_thread(rollover.drop_next_key, self._places, account)
            await self._restart_keyd(account)
            return {}

    async def adopt_account_key(self, _: Call, job: int, account: str) -> Answer:
        async with self._account(job, account):
            found = await asyncio.to_thread(rollover.adopt_next_key, self._places, account)
            await self._restart_keyd(account)
            return {"keyType": found}

    async def retire_account(self, _: Call, job: int, account: str) -> Answer:
        async with self._account(job, account):
            await asyncio.to_thread(retirement.retire, self._places, account)
            await self._restart_keyd(account)
            return {}

    async def permit_authorize(
        self, _: Call, job: int, account: str, subject: str, identifiers: list[dict[str, str]]
    ) -> Answer:
        lookup.checked_name(subject, "subject")
        wanted = _checked_identifiers(identifiers)
        # The second is that of DropPermit, which does not know the account.
        async with self._account(job, account), self._locks[f"certificate {subject}"]:
            accounts.registered(self._places, account)
            return {"thumbprint": await self._permits.authorize(account, subject, wanted)}

    async def _with_cause(self, error: VarlinkError, account: str) -> VarlinkError:
        """What kept acme-keyd from its work, or from starting. It may be the key of another account."""
        if error.name != "org.acmed.Priv.KeyUnavailable":
            return error
        broken = await asyncio.to_thread(lambda: list(seal.unreadable(self._places)))
        if not broken:
            return error
        what = "; ".join(broken)
        reason = f"acme-keyd does not start, as this cannot be decrypted: {what}; move it away, or seal it anew"
        return refusal("KeyUnavailable", account=account, reason=reason)

    async def _restart_keyd(self, account: str) -> None:
        """acme-keyd reads keys and accounts when it starts. Where it does not run, there is nothing to do. A key store
        sees by itself what has changed, and may have a key that somebody unlocked.
        """
        try:
            async with pid1.connected() as manager:
                result = await manager.job("TryRestartUnit", _KEYD, "replace", timeout=_RESTART_TIMEOUT)
        except (DBusError, BusLost, TimeoutError) as error:
            result = str(error) or "not done in time"
        if result != pid1.DONE:
            reason = f"restart of {_KEYD}: {result}; see: journalctl -u {_KEYD}"
            raise refusal("KeyUnavailable", account=account, reason=reason)


def _checked_identifiers(identifiers: list[dict[str, str]]) -> tuple[Identifier, ...]:
    """Raises InvalidParameter unless each one is spelled as acmed has it."""
    found = tuple(Identifier(one["type"], one["value"]) for one in identifiers)
    try:
        if not 1 <= len(found) <= MAX_NAMES or any(Identifier.parse(one.value) != one for one in found):
            raise invalid_parameter("identifiers")
    except InvalidName as error:
        raise invalid_parameter("identifiers") from error
    return found
