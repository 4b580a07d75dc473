# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end of a certificate: its revocation, and what becomes of its key."""

import asyncio
import base64
import binascii
import hashlib

from acmed import journal
from acmed.privd import lookup
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.installed import archive, compromise, revocation, sets
from acmed.reasons import KEY_COMPROMISE
from acmed.varlink import Call, invalid_parameter


class Revocations(Turns):
    """The methods that are about a certificate's end."""

    async def permit_revoke(self, _: Call, job: int, certificate: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        async with self._certificate(job, certificate):
            current, der, sharing = await self._revoked(certificate, reason)
            lookup.account(self._places.configuration(), current.account)
            await self._permits.revoke(current.account, current.fingerprint, reason)
            return {"account": current.account, "der": base64.b64encode(der).decode(), "sharing": sharing}

    async def permit_revoke_other(self, _: Call, job: int, account: str, der: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        try:
            data = base64.b64decode(der, validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid_parameter("der") from error
        revocation.check_certificate(data)
        async with self._account(job, account):
            lookup.account(self._places.configuration(), account)
            sharing = []
            if reason == KEY_COMPROMISE:
                sharing = await asyncio.to_thread(compromise.of_given, self._places, data)
            await self._permits.revoke(account, hashlib.sha256(data).hexdigest(), reason)
            return {"sharing": sharing}

    async def sign_revocation(self, _: Call, job: int, certificate: str, url: str, nonce: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        async with self._certificate(job, certificate):
            current, der, sharing = await self._revoked(certificate, reason)
            directory = revocation.ca(self._places.configuration(), current)
            signed = await asyncio.to_thread(
                revocation.signed, self._places, certificate, current, der, directory, url, nonce, reason
            )
            journal.notice(
                "Signed the revocation of %s with its own key", certificate, fingerprint=current.fingerprint, url=url
            )
            return {**signed, "sharing": sharing}

    async def archive(self, _: Call, job: int, certificate: str, fingerprint: str) -> Answer:
        async with self._certificate(job, certificate):
            for account in await asyncio.to_thread(archive.archive, self._places, certificate, fingerprint):
                await self._permits.drop_order(account, certificate)
            return {}

    async def _revoked(self, name: str, reason: int) -> tuple[sets.Set, bytes, list[str]]:
        """The installed set, its certificate and who else has its key installed, where that is compromised: then it is
        not used again from now on.
        """

        def work() -> tuple[sets.Set, bytes, list[str]]:
            current = revocation.installed(self._places, name)
            users = compromise.of_installed(self._places, name, current) if reason == KEY_COMPROMISE else []
            return current, revocation.certificate(self._places, name, current), [one for one in users if one != name]

        return await asyncio.to_thread(work)
