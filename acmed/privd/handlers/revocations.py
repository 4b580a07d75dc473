# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end of a certificate: its revocation, and what becomes of its key."""

import asyncio
import base64
import binascii
import hashlib

from acmed import journal
from acmed.privd import archive, lookup, revocation, sets
from acmed.privd.handlers.turns import Answer, Turns
from acmed.varlink import Call, invalid_parameter


class Revocations(Turns):
    """The methods that are about a certificate's end."""

    async def permit_revoke(self, _: Call, job: int, certificate: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        async with self._certificate(job, certificate):
            current, der = await self._compromised(certificate, reason)
            lookup.account(self._places.configuration(), current.account)
            await self._permits.revoke(current.account, current.fingerprint, reason)
            return {"account": current.account, "der": base64.b64encode(der).decode()}

    async def permit_revoke_other(self, _: Call, job: int, account: str, der: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        try:
            data = base64.b64decode(der, validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid_parameter("der") from error
        revocation.check_certificate(data)
        async with self._account(job, account):
            lookup.account(self._places.configuration(), account)
            await asyncio.to_thread(revocation.retire_if_ours, self._places, data, reason)
            await self._permits.revoke(account, hashlib.sha256(data).hexdigest(), reason)
            return {}

    async def sign_revocation(self, _: Call, job: int, certificate: str, url: str, nonce: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        async with self._certificate(job, certificate):
            current, der = await self._compromised(certificate, reason)
            directory = revocation.ca(self._places.configuration(), current)
            signed = await asyncio.to_thread(
                revocation.signed, self._places, certificate, current, der, directory, url, nonce, reason
            )
            journal.notice(
                "Signed the revocation of %s with its own key", certificate, fingerprint=current.fingerprint, url=url
            )
            return dict(signed)

    async def archive(self, _: Call, job: int, certificate: str, fingerprint: str) -> Answer:
        async with self._certificate(job, certificate):
            for account in await asyncio.to_thread(archive.archive, self._places, certificate, fingerprint):
                await self._permits.drop_order(account, certificate)
            return {}

    async def _compromised(self, name: str, reason: int) -> tuple[sets.Set, bytes]:
        """The installed set and its certificate; with that reason, its key is not used again from now on."""

        def work() -> tuple[sets.Set, bytes]:
            current, der = revocation.installed(self._places, name)
            revocation.retire_compromised(self._places, name, current, reason)
            return current, der

        return await asyncio.to_thread(work)
