# SPDX-License-Identifier: LGPL-2.1-or-later
"""Challenges: ports, tokens and records that answer them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.config import Configuration
from acmed.config.model import ChallengeType
from acmed.privd import lookup, pid1, verifier
from acmed.privd.challenges import leases, records, tokens
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.refusal import refusal
from acmed.varlink import Call, VarlinkError


class Challenges(Turns):
    """The methods that are about answers to challenges."""

    async def open_challenge(self, _: Call, job: int, certificate: str, type: str) -> Answer:
        async with _challenge(job, certificate):
            configuration = self._places.configuration()
            way = leases.way(configuration, type)
            if way is None:
                _check_webroots(configuration, certificate)
                return {"method": leases.WEBROOT}
            async with self._port(job, type), pid1.connected() as manager:
                await leases.open_challenge(configuration, manager, way, job)
            await verifier.warm(self._places)
            return {"method": leases.DIRECTORY}

    async def probe_challenge(self, _: Call, job: int, certificate: str, type: str) -> Answer:
        async with _challenge(job, certificate):
            configuration = self._places.configuration()
            way = leases.way(configuration, type)
            if way is None:
                try:
                    _check_webroots(configuration, certificate)
                except VarlinkError as error:
                    return {"problem": error.parameters["message"]}
                return {"problem": ""}
            async with pid1.connected() as manager:
                return {"problem": await leases.probe(manager, way)}

    async def close_challenge(self, _: Call, job: int, certificate: str) -> Answer:
        async with _challenge(job, certificate), AsyncExitStack() as stack:
            # Who asked for it may be gone, and PID 1 at it still: what is opened after it was closed would stay open.
            for kind in (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01):
                await stack.enter_async_context(self._port(job, kind))
            manager = await stack.enter_async_context(pid1.connected())
            await leases.close_challenge(manager, job)
            return {}

    def _port(self, job: int, type: str) -> asyncio.Lock:
        return self._locks[f"port {job} {type}"]

    async def publish_token(
        self, _: Call, job: int, certificate: str, identifier: str, token: str, key_authorization: str
    ) -> Answer:
        tokens.check_token(token, key_authorization)
        return await self._write_token(job, certificate, identifier, token, key_authorization)

    async def withdraw_token(self, _: Call, job: int, certificate: str, identifier: str, token: str) -> Answer:
        tokens.check_token(token)
        return await self._write_token(job, certificate, identifier, token, None)

    async def _write_token(
        self, job: int, certificate: str, identifier: str, token: str, content: str | None
    ) -> Answer:
        value = tokens.checked_identifier(identifier)
        async with _challenge(job, certificate), pid1.connected() as manager:
            await tokens.write(self._places.configuration(), manager, value, token, content)
            return {}

    async def publish_record(self, _: Call, job: int, certificate: str, zone: str, name: str, value: str) -> Answer:
        return await self._change_record(job, certificate, zone, name, value, True)

    async def withdraw_record(self, _: Call, job: int, certificate: str, zone: str, name: str, value: str) -> Answer:
        return await self._change_record(job, certificate, zone, name, value, False)

    async def _change_record(
        self, job: int, certificate: str, zone: str, name: str, value: str, present: bool
    ) -> Answer:
        records.check(name, value)
        async with _challenge(job, certificate):
            wanted = records.wanted(self._places.configuration(), zone, name)
            async with self._locks[f"zone {wanted.name}"]:
                await records.change(self._places, wanted, name, value, present)
            return {}


def _check_webroots(configuration: Configuration, certificate: str) -> None:
    """Looks at those that a certificate's names have. Raises ChallengeUnavailable."""
    for name in leases.names_by_http(configuration, certificate):
        tokens.webroot(configuration, name)


@asynccontextmanager
async def _challenge(job: int, certificate: str) -> AsyncIterator[None]:
    """For one call; what PID 1 cannot do is ChallengeUnavailable."""
    lookup.checked_name(certificate, "certificate")
    with journal.fields(job=job, certificate=certificate):
        try:
            yield
        except (DBusError, BusLost) as error:
            raise refusal("ChallengeUnavailable", message=f"PID 1 cannot do it: {error}") from error
        except TimeoutError as error:
            raise refusal("ChallengeUnavailable", message="PID 1 was not done in time") from error
