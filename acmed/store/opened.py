# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that a store has opened, and what keeps it from that."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from acmed.keyd.keys import Held, SigningKey

if TYPE_CHECKING:
    import asyncio  # slow to load, and the process of a token's module has no use for it


class OpenedKey(SigningKey, Protocol):
    """Its signing raises Unavailable; then the key is opened anew for the next one. uri: the account's URL, None where
    unknown.
    """

    @property
    def uri(self) -> str | None: ...

    async def close(self) -> None:
        """Gives up what it holds."""


class Unavailable(Exception):
    """The key cannot be used now; the message says why and what to do, and has no secret in it."""


class Waiting(Unavailable):
    """It cannot be used before somebody has done something. opening ends when that was done, or raises Unavailable."""

    def __init__(self, message: str, opening: "asyncio.Task[OpenedKey]") -> None:
        super().__init__(message)
        self.opening = opening


@dataclass(frozen=True)
class InProcess(Held):
    """A key in this process."""

    uri: None = None

    async def close(self) -> None:
        pass
