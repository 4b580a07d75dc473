# SPDX-License-Identifier: LGPL-2.1-or-later
"""Challenges: ports, tokens and records that answer them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.config.model import Http01Mode
from acmed.privd import challenge, install, lookup, pid1, tokens
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.pid1 import Pid1
from acmed.privd.refusal import refusal
from acmed.varlink import Call


class Challenges(Turns):
    """The methods that are about answers to challenges."""

    async def open_challenge(self, _: Call, job: int, certificate: str) -> Answer:
        lookup.checked_name(certificate, "certificate")
        configuration = self._places.configuration()
        with journal.fields(job=job, certificate=certificate):
            if configuration.http01.mode is Http01Mode.WEBROOT:
                tokens.webroot(configuration)
                return {"method": challenge.WEBROOT}
            async with _pid1() as manager:
                await challenge.open_challenge(configuration, manager, job)
            await install.warm(self._places)
            return {"method": challenge.DIRECTORY}

    async def close_challenge(self, _: Call, job: int, certificate: str) -> Answer:
        lookup.checked_name(certificate, "certificate")
        with journal.fields(job=job, certificate=certificate):
            async with _pid1() as manager:
                await challenge.close_challenge(manager, job)
            return {}

    async def publish_token(self, _: Call, job: int, certificate: str, token: str, key_authorization: str) -> Answer:
        tokens.check_token(token, key_authorization)
        return await self._write_token(job, certificate, token, key_authorization)

    async def withdraw_token(self, _: Call, job: int, certificate: str, token: str) -> Answer:
        tokens.check_token(token)
        return await self._write_token(job, certificate, token, None)

    async def _write_token(self, job: int, certificate: str, token: str, content: str | None) -> Answer:
        lookup.checked_name(certificate, "certificate")
        with journal.fields(job=job, certificate=certificate):
            async with _pid1() as manager:
                await tokens.write(self._places.configuration(), manager, token, content)
            return {}


@asynccontextmanager
async def _pid1() -> AsyncIterator[Pid1]:
    """A connection to PID 1 for a challenge; what it cannot do is ChallengeUnavailable."""
    try:
        async with pid1.connected() as manager:
            yield manager
    except (DBusError, BusLost) as error:
        raise refusal("ChallengeUnavailable", message=f"PID 1 cannot do it: {error}") from error
    except TimeoutError as error:
        raise refusal("ChallengeUnavailable", message="PID 1 was not done in time") from error
