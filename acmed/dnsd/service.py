# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.DNS: checks what was asked, hands it on, and answers with the interface's own errors."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acmed.config.model import ChallengeType, Configuration
from acmed.dnsd.checks import Asked, Preflight
from acmed.dnsd.errors import NotConfigured
from acmed.dnsd.places import Place, find
from acmed.dnsd.propagation import wait
from acmed.dnsd.records import NoRecord, Record, is_configured, record
from acmed.dnsd.resolver import Resolver, plain
from acmed.dnsd.transport import Server, Transport, together
from acmed.dnsd.update import Updater
from acmed.names import Identifier
from acmed.varlink import Call, answering, invalid_parameter, more

Progress = Callable[[dict[str, Any]], Any]
_LONGEST_WAIT = 24 * 3600  # seconds
_PREFLIGHT = 3.0  # seconds, for what resolvers have to say: an order waits for it


class Handlers:
    """The methods. configuration and resolvers are asked at each call, so that a change of them is known at once."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        resolvers: Callable[[], list[Server]],
        transport: Transport,
        credentials: Path,
    ) -> None:
        self._configuration = configuration
        self._resolvers = resolvers
        self._transport = transport
        self._updater = Updater(transport, credentials)

    async def find(self, _: Call, job: int, certificate: str, records: list[dict[str, str]]) -> dict[str, Any]:
        with answering(job=job, certificate=certificate):
            places = await self._places(records, self._resolver())
            return {"places": [_answer(place) for place in places]}

    async def present(self, _: Call, job: int, certificate: str, records: list[dict[str, str]]) -> dict[str, Any]:
        with answering(job=job, certificate=certificate):
            resolver = self._resolver()
            await self._updater.present(await self._places(records, resolver), resolver)
            return {}

    @more
    async def wait(
        self,
        _: Call,
        progress: Progress,
        job: int,
        certificate: str,
        records: list[dict[str, str]],
        deadline: int,
    ) -> dict[str, Any]:
        async def report(detail: str) -> None:
            await progress({"done": False, "detail": detail})

        with answering(job=job, certificate=certificate):
            if not 0 < deadline <= _LONGEST_WAIT:
                raise invalid_parameter("deadline")
            resolver = self._resolver()
            places = await self._places(records, resolver)
            return {"done": True, "detail": await wait(places, self._transport, resolver, deadline, report)}

    async def remove(self, _: Call, job: int, certificate: str, records: list[dict[str, str]]) -> dict[str, Any]:
        """Also for names that are not in the configuration any more: what was presented before must go."""
        with answering(job=job, certificate=certificate):
            resolver = self._resolver()
            await self._updater.remove(await self._places(records, resolver, removing=True), resolver)
            return {}

    async def check(
        self,
        _: Call,
        job: int,
        certificate: str,
        identifiers: list[dict[str, str]],
        types: list[str],
        issuers: list[str],
        account: str,
    ) -> dict[str, Any]:
        with answering(job=job, certificate=certificate):
            if len(types) != len(identifiers) or not set(types) <= set(ChallengeType):
                raise invalid_parameter("types")
            configuration = self._configuration()
            asked = [
                Asked(Identifier(identifier["type"], identifier["value"]), ChallengeType(kind), issuers, account)
                for identifier, kind in zip(identifiers, types, strict=True)
            ]
            _refuse_unconfigured((item.identifier.value for item in asked), configuration)
            resolver = Resolver(self._transport, self._resolvers(), _PREFLIGHT)
            preflight = Preflight(self._transport, resolver, self._updater, configuration)
            return {"findings": [asdict(finding) for finding in await preflight.run(asked)]}

    def _resolver(self) -> Resolver:
        return Resolver(self._transport, self._resolvers())

    async def _places(self, items: list[dict[str, str]], resolver: Resolver, removing: bool = False) -> list[Place]:
        try:
            records = list(dict.fromkeys(record(item) for item in items))
        except NoRecord as error:
            raise invalid_parameter(f"records.{error}") from None
        configuration = self._configuration()
        lasting = [item for item in records if not removing or item.type is ChallengeType.DNS_PERSIST_01]
        _refuse_unconfigured((item.identifier for item in lasting), configuration)
        return await together(find(item, resolver, configuration) for item in records)


def _refuse_unconfigured(identifiers: Iterable[str], configuration: Configuration) -> None:
    for identifier in identifiers:
        if not is_configured(identifier, configuration):
            raise NotConfigured(identifier)


def _answer(place: Place) -> dict[str, Any]:
    return {
        "record": _fields(place.record),
        "name": plain(place.name),
        "zone": plain(place.soa.zone),
        "method": place.method,
    }


def _fields(item: Record) -> dict[str, str]:
    return {"identifier": item.identifier, "type": item.type.value, "account": item.account, "value": item.value}
