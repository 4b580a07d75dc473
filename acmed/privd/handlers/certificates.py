# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates: configuration, requests, installation, delivery and revocation."""

import asyncio
import base64

from acmed.privd import configure, deliver, install, lookup, ownership, request, revocation, sets
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.refusal import refusal
from acmed.varlink import Call


class Certificates(Turns):
    """The methods that are about a certificate."""

    async def configure(
        self,
        _: Call,
        job: int,
        certificate: str,
        names: list[str],
        account: str | None,
        key_type: str | None,
        services: list[str] | None,
        replace: bool,
    ) -> Answer:
        async with self._certificate(job, certificate):
            wish = configure.Wish(certificate, names, account, key_type, services)
            await asyncio.to_thread(configure.configure, self._places, wish, replace)
            return {}

    async def forget(self, _: Call, job: int, certificate: str) -> Answer:
        async with self._certificate(job, certificate):
            account = await asyncio.to_thread(configure.forget, self._places, certificate)
            if account is not None:
                await self._permits.drop_order(account, certificate)
            return {}

    async def new_request(self, _: Call, job: int, certificate: str, new_key: bool) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            wanted = lookup.certificate(configuration, certificate)
            lookup.account(configuration, wanted.account)
            # A group that is not there is told now, not when the CA has issued.
            ownership.key_access(configuration.services[service] for service in wanted.services)
            material = await asyncio.to_thread(request.prepare, self._places, wanted, job, new_key)
            made = material.request
            await self._permits.order(made.account, certificate, made.identifiers, made.csr_sha256)
            return {
                "request": made.id,
                "account": made.account,
                "identifiers": [{"type": one.type, "value": one.value} for one in made.identifiers],
                "csr": base64.b64encode(material.csr).decode(),
            }

    async def install(self, _: Call, job: int, certificate: str, request: str, chain: str) -> Answer:
        async with self._certificate(job, certificate):
            installed = await self._install(certificate, request, chain)
            return {
                "serialNumber": installed.serial_number,
                "issuer": installed.issuer,
                "fingerprint": installed.fingerprint,
                "notBefore": installed.not_before,
                "notAfter": installed.not_after,
            }

    async def _install(self, name: str, request_id: str, chain: str) -> sets.Set:
        configuration = self._places.configuration()
        certificate = lookup.certificate(configuration, name)
        material = await asyncio.to_thread(request.read, self._places, name)
        if material is None or material.request.id != request_id:
            raise refusal("NoSuchRequest", certificate=name, request=request_id)
        verified = await install.verify(self._places, name, material.request, chain)
        return await asyncio.to_thread(install.install, self._places, configuration, certificate, material, verified)

    async def deliver(self, _: Call, job: int, certificate: str, services: list[str]) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            known = lookup.certificate(configuration, certificate)
            current = sets.current(self._places, certificate)
            if current is None:
                raise refusal("NotIssued", certificate=certificate)
            return {"deliveries": await deliver.deliver(self._places, configuration, known, current, services)}

    async def permit_revoke(self, _: Call, job: int, certificate: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        async with self._certificate(job, certificate):
            current, der = await asyncio.to_thread(revocation.installed, self._places, certificate)
            lookup.account(self._places.configuration(), current.account)
            await self._permits.revoke(current.account, current.fingerprint, reason)
            return {"account": current.account, "der": base64.b64encode(der).decode()}
