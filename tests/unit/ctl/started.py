# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs that an org.acmed1 starts and ends as a test says."""

import asyncio
from typing import Any

from acmed.bus import DBusError
from acmed.bus.server import Call
from tests.unit.ctl.scripted import Service, certificate_path

WWW = "www.example.com"


def values(options: dict[str, Any]) -> dict[str, Any]:
    return {key: variant.value for key, variant in options.items()}


def order_starts(service: Service, number: int = 7, **job: Any) -> asyncio.Event:
    """Has Order start a job that stays; the event is set then."""
    started = asyncio.Event()

    async def order(call: Call, name: str, _: list[str], __: dict[str, Any]) -> tuple[str, int, str]:
        service.calls.append(call)
        path = service.job(number, "order", name, **job)
        asyncio.get_running_loop().call_soon(started.set)
        return certificate_path(name), number, path

    service.on["Order"] = order
    return started


def renew_ends(service: Service, number: int, name: str, result: str, **job: Any) -> None:
    """Has Renew of a certificate do a job of this result, which has ended before the call is answered."""

    async def renew(_: Call, __: dict[str, Any]) -> tuple[int, str]:
        path = service.job(number, "renew", name)
        service.end(number, result, **job)
        return number, path

    service.certificate(name).handlers["Renew"] = renew


async def refuse(name: str, message: str) -> None:
    raise DBusError(name, message)
