# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls to acme-privd, acme-clientd and acme-dnsd. Each may be killed at any time and is started again by its socket;
each step is idempotent, so a call whose connection is lost is made again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from acmed import journal, varlink
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.varlink import Client, ConnectionLost, VarlinkError

PRIVD = "acme-privd"
CLIENTD = "acme-clientd"
DNSD = "acme-dnsd"
_PAUSES = (0.1, 0.3, 1.0, 3.0)  # seconds before each further attempt
# Seconds. All that acme-privd does may wait for the RSA keys of all that are renewed besides: 60 of 4096 bits take
# minutes.
_OF_PRIVD = 600.0


class Daemons:
    """The three. Every call raises Failure, and nothing else. Timeouts are in seconds. disowned is called with the name
    of an account of which its CA has said that it does not know it.
    """

    def __init__(self, priv_socket: Path, client_socket: Path, dns_socket: Path) -> None:
        self.disowned: Callable[[str], None] = lambda _: None
        self._clients = {
            PRIVD: Client(varlink.load("org.acmed.Priv"), priv_socket),
            CLIENTD: Client(varlink.load("org.acmed.Client"), client_socket),
            DNSD: Client(varlink.load("org.acmed.DNS"), dns_socket),
        }

    async def priv(self, method: str, *, timeout: float = _OF_PRIVD, **parameters: Any) -> dict[str, Any]:
        return await self._call(PRIVD, method, timeout, parameters)

    async def client(self, method: str, *, timeout: float, **parameters: Any) -> dict[str, Any]:
        return await self._call(CLIENTD, method, timeout, parameters)

    async def dns(self, method: str, *, timeout: float, **parameters: Any) -> dict[str, Any]:
        return await self._call(DNSD, method, timeout, parameters)

    def client_more(self, method: str, *, timeout: float, **parameters: Any) -> AsyncGenerator[dict[str, Any], None]:
        """With an answer for each step, again where the call is repeated. timeout is for the time between two."""
        return self._call_more(CLIENTD, method, timeout, parameters)

    def dns_more(self, method: str, *, timeout: float, **parameters: Any) -> AsyncGenerator[dict[str, Any], None]:
        """The same."""
        return self._call_more(DNSD, method, timeout, parameters)

    async def warm(self, daemon: str) -> None:
        """Has PID 1 start a daemon that takes a while to load, and will be asked once another has answered."""
        await self._clients[daemon].warm()

    async def _call(self, daemon: str, method: str, timeout: float, parameters: dict[str, Any]) -> dict[str, Any]:
        pauses = iter(_PAUSES)
        while True:
            try:
                return await self._clients[daemon].call(method, timeout=timeout, **parameters)
            except ConnectionLost as error:
                await _pause(pauses, daemon, method, error)
            except (VarlinkError, TimeoutError) as error:
                raise self._failed(daemon, method, parameters, error) from error

    async def _call_more(
        self, daemon: str, method: str, timeout: float, parameters: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        pauses = iter(_PAUSES)
        while True:
            try:
                async with aclosing(self._clients[daemon].call_more(method, timeout=timeout, **parameters)) as replies:
                    async for reply in replies:
                        yield reply
                return
            except ConnectionLost as error:
                await _pause(pauses, daemon, method, error)
            except (VarlinkError, TimeoutError) as error:
                raise self._failed(daemon, method, parameters, error) from error

    def _failed(
        self, daemon: str, method: str, parameters: dict[str, Any], error: VarlinkError | TimeoutError
    ) -> Failure:
        failure = _failure(daemon, method, error)
        if failure.name == errors.UNKNOWN_TO_CA and "account" in parameters:
            self.disowned(parameters["account"])
        return failure


async def _pause(pauses: Iterator[float], daemon: str, method: str, error: ConnectionLost) -> None:
    """Waits before the next attempt; raises Failure when there have been enough."""
    pause = next(pauses, None)
    if pause is None:
        message = f"{daemon} does not answer ({error}); see 'systemctl status {daemon}.socket {daemon}.service'"
        raise Failure(errors.UNAVAILABLE, message) from error
    journal.debug("%s: %s, trying again", method, error)
    await asyncio.sleep(pause)


def _failure(daemon: str, method: str, error: VarlinkError | TimeoutError) -> Failure:
    if isinstance(error, VarlinkError):
        return errors.from_varlink(daemon, error)
    message = f"{daemon} did not answer {method} in time; see 'systemctl status {daemon}.service'"
    return Failure(errors.TIMED_OUT, message)
