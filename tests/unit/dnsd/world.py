# SPDX-License-Identifier: LGPL-2.1-or-later
"""example.test at a primary and a secondary, hooks.test beside it, and a resolver that knows all; acme-dnsd to ask."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from acmed.config.model import Account, Certificate, Configuration
from acmed.config.model import Zone as Settings
from acmed.dnsd.service import Handlers
from acmed.dnsd.transport import Server, Transport
from acmed.names import Identifier
from acmed.varlink import Call
from tests.unit.dnsd.nameserver import NameServer, Zone, name_of, serving

RESOLVER, PRIMARY, SECONDARY, OTHER = "127.0.0.53", "127.0.0.61", "127.0.0.62", "127.0.0.63"
ACCOUNT = "https://ca.example/acct/1"
VALUE = "DGyRejmCefe7v4NfDGDKfA-0000000000000000000A"
CALLER = Call(1, 1000, 1000)


def zone(name: str) -> Zone:
    found = Zone(name_of(name), "ns1.example.test.")
    found.add(name, "NS", "ns1.example.test.", "ns2.example.test.")
    return found


@dataclass
class World:
    """What a test changes before it asks, and looks at afterwards."""

    credentials: Path
    example: Zone = field(default_factory=lambda: zone("example.test."))
    acme: Zone = field(default_factory=lambda: zone("acme.test."))
    primary: NameServer = field(init=False)
    secondary: NameServer = field(init=False)
    resolver: NameServer = field(init=False)
    configuration: Configuration = field(init=False)
    handlers: Handlers = field(init=False)
    resolvers: list[str] = field(default_factory=lambda: [RESOLVER])
    port: int = 0

    def __post_init__(self) -> None:
        self.example.add("ns1.example.test.", "A", PRIMARY)
        self.example.add("ns2.example.test.", "A", SECONDARY)
        zones = [self.example, self.acme]
        self.primary = NameServer(zones)
        self.secondary = NameServer(zones)
        self.resolver = NameServer([*zones, zone("test.")], recursive=True)

    def configure(self, port: int) -> None:
        self.port = port
        names = ("example.test", "*.example.test", "www.example.test", "wild.example.test", "192.0.2.1", "127.0.0.1")
        self.configuration = Configuration(
            accounts={"default": Account("default", "https://ca.example/", authorize=(Identifier("dns", "a.test"),))},
            certificates={
                "example": Certificate("example", Path("/x"), tuple(map(Identifier.parse, names)), "default"),
            },
            zones={
                "example.test": Settings("example.test", port=port, ttl=77, timeout=2),
                "acme.test": Settings("acme.test", port=port, server=PRIMARY, timeout=2),
            },
        )

    def settings(self, name: str = "example.test", **changes: Any) -> None:
        values = {**vars(self.configuration.zones[name]), **changes}
        self.configuration.zones[name] = Settings(**values)

    def lag(self) -> Zone:
        """The secondary has its own copy of example.test from now on."""
        old = copy.deepcopy(self.example)
        self.secondary.zones = [old, self.acme]
        return old

    async def find(self, *records: dict[str, str]) -> list[dict[str, Any]]:
        answer = await self.handlers.find(CALLER, 1, "example", list(records))
        places: list[dict[str, Any]] = answer["places"]
        return places

    async def present(self, *records: dict[str, str]) -> None:
        await self.handlers.present(CALLER, 1, "example", list(records))

    async def remove(self, *records: dict[str, str]) -> None:
        await self.handlers.remove(CALLER, 1, "example", list(records))

    async def wait(self, *records: dict[str, str], deadline: float = 2) -> tuple[str, list[str]]:
        """The last answer's detail, and those before it. deadline: seconds; the interface has whole ones only."""
        said: list[str] = []

        async def progress(reply: dict[str, Any]) -> None:
            assert reply["done"] is False
            said.append(reply["detail"])

        answer = await self.handlers.wait(CALLER, progress, 1, "example", list(records), cast("int", deadline))
        assert answer["done"] is True
        return answer["detail"], said

    async def check(
        self, types: dict[str, str], issuers: list[str] | None = None
    ) -> dict[tuple[str, str], tuple[str, str]]:
        """Severity and message by check and subject. types: by identifier."""
        identifiers = [vars(Identifier.parse(name)) for name in types]
        issuers = ["ca.example"] if issuers is None else issuers
        answer = await self.handlers.check(CALLER, 1, "example", identifiers, list(types.values()), issuers, ACCOUNT)
        return {(item["check"], item["subject"]): (item["severity"], item["message"]) for item in answer["findings"]}


def record(identifier: str = "www.example.test", type: str = "dns-01", value: str = VALUE) -> dict[str, str]:
    return {"identifier": identifier, "type": type, "account": ACCOUNT, "value": value}


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    servers = {RESOLVER: world.resolver, PRIMARY: world.primary, SECONDARY: world.secondary}
    async with serving(servers) as port:
        world.configure(port)
        world.handlers = Handlers(
            lambda: world.configuration,
            lambda: [Server(address, port=port) for address in world.resolvers],
            Transport(port),
            world.credentials,
        )
        yield world
