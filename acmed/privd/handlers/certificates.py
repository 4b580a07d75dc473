# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates: configuration, requests, installation, delivery and restoration."""

import asyncio
import base64
from dataclasses import replace as replaced
from typing import Any

from acmed.config import Account
from acmed.privd import anchors, lookup, verifier
from acmed.privd.delivery import deliver
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.installed import install, ownership, restore, sets
from acmed.privd.refusal import refusal
from acmed.privd.requests import configure, elsewhere, prepare, provided, request
from acmed.privd.requests.settings import Settings
from acmed.varlink import Call


class Certificates(Turns):
    """The methods that are about a certificate, but for its end."""

    async def configure(
        self, _: Call, job: int, certificate: str, names: list[str], settings: dict[str, Any], replace: bool
    ) -> Answer:
        async with self._certificate(job, certificate):
            text = settings.get("csr")
            csr = None if text is None else await elsewhere.given(self._places, certificate, text)
            wish = configure.Wish(certificate, names, Settings.read(settings), csr)
            await asyncio.to_thread(configure.configure, self._places, wish, replace)
            return {}

    async def forget(self, _: Call, job: int, certificate: str) -> Answer:
        async with self._certificate(job, certificate):
            for account in await asyncio.to_thread(configure.forget, self._places, certificate):
                await self._permits.drop_order(account, certificate)
            return {}

    async def new_request(self, _: Call, job: int, certificate: str, account: str | None, new_key: bool) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            known = lookup.certificate(configuration, certificate)
            chosen = lookup.account_for(configuration, known, account)
            # What would keep it from being installed is told now, not when the CA has issued.
            ownership.own_access(configuration, known, "privkey")
            await asyncio.to_thread(anchors.read, known)
            csr = None
            if known.csr:
                ownership.check_keyless(configuration, known)
                csr = await elsewhere.required(self._places, known)
            wish = prepare.Wish(job, chosen.name, new_key)
            async with self._making(known.key_type):
                material = await asyncio.to_thread(prepare.prepare, self._places, known, wish, csr)
            replaces = await asyncio.to_thread(self._replaced, certificate, chosen, material.request)
            thumbprint = await self._permit(certificate, material.request, replaces)
            more = {"preferredChain": known.preferred_chain, "thumbprint": thumbprint}
            return _described(material, replaces) | more

    async def provided_keys(self, _: Call, keys: list[dict[str, str]]) -> Answer:
        seen = {key["certificate"]: key["seen"] for key in keys}
        return {"keys": await asyncio.to_thread(lambda: list(provided.compared(self._places, seen)))}

    async def drop_permit(self, _: Call, job: int, certificate: str) -> Answer:
        """At every account: nothing here remembers for which one names were to be authorized."""
        async with self._certificate(job, certificate):
            accounts = self._places.configuration().accounts
            await asyncio.gather(*(self._permits.drop_order(account, certificate) for account in accounts))
            return {}

    async def install(self, _: Call, job: int, certificate: str, request: str, chain: str) -> Answer:
        async with self._certificate(job, certificate):
            installed = await self._install(certificate, request, chain)
            await self._permits.drop_order(installed.account, certificate)
            return {
                "serialNumber": installed.serial_number,
                "issuer": installed.issuer,
                "fingerprint": installed.fingerprint,
                "notBefore": installed.not_before,
                "notAfter": installed.not_after,
            }

    async def deliver(self, _: Call, job: int, certificate: str, services: list[str]) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            known = lookup.certificate(configuration, certificate)
            current = sets.current(self._places, certificate)
            if current is None:
                raise refusal("NotIssued", certificate=certificate)
            return {"deliveries": await deliver.deliver(self._places, configuration, known, current, services)}

    async def restore(self, _: Call, job: int, certificate: str) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            known = lookup.certificate(configuration, certificate)
            return {"restored": await asyncio.to_thread(restore.restore, self._places, configuration, known)}

    async def _permit(self, certificate: str, made: request.Request, replaces: str | None) -> str | None:
        """One account at a time may order: the others have failed, or are not asked any more. The answer is the
        thumbprint of its key.
        """
        for account in made.accounts:
            if account != made.account:
                await self._permits.drop_order(account, certificate)
        return await self._permits.order(
            made.account,
            certificate,
            made.identifiers,
            made.csr_sha256,
            made.profile,
            made.not_before,
            made.not_after,
            replaces,
        )

    def _replaced(self, name: str, account: Account, made: request.Request) -> str | None:
        """What the installed certificate is known by at the CA that is going to issue the next one."""
        current = sets.current(self._places, name)
        if current is None or current.directory != account.directory or request.base(current.request) == made.id:
            return None
        return current.cert_id

    async def _install(self, name: str, request_name: str, chain: str) -> sets.Set:
        configuration = self._places.configuration()
        certificate = lookup.certificate(configuration, name)
        material = await asyncio.to_thread(request.read, self._places, name)
        account = material.request.account_of(request_name) if material else None
        if material is None or account is None:
            raise refusal("NoSuchRequest", certificate=name, request=request_name)
        material = replaced(material, request=replaced(material.request, account=account))
        trusted = await asyncio.to_thread(anchors.read, certificate)
        verified = await verifier.verify(self._places, name, material.request, chain, trusted)
        return await asyncio.to_thread(install.install, self._places, configuration, certificate, material, verified)


def _described(material: request.Material, replaces: str | None) -> Answer:
    made = material.request
    return {
        "request": made.name,
        "account": made.account,
        "identifiers": [{"type": one.type, "value": one.value} for one in made.identifiers],
        "csr": base64.b64encode(material.csr).decode(),
        "profile": made.profile,
        "notBefore": made.not_before,
        "notAfter": made.not_after,
        "replaces": replaces,
    }
