# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys behind a socket of this host: where sshd forwards it from another one (ssh -R), or another user listens.

A key becomes the account's when that is made, so nobody but the socket's owner may be able to listen there.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from acmed.config import Account
from acmed.store import lacme
from acmed.store.far import Ending, Remote
from acmed.store.opened import OpenedKey, Unavailable
from acmed.trustedsocket import NotTrusted, reached

_CONNECT = 2.0  # seconds: the queue of who listens is full


@dataclass(frozen=True)
class _Socket:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ending(self) -> Ending:
        await self.close()
        return Ending("who listens there has closed the connection, and its log says why")

    async def close(self) -> None:
        self.writer.close()


async def open_key(account: Account, _: Path) -> OpenedKey:
    """Raises Unavailable."""
    assert account.key
    path = account.key.place
    # lacme-accountd serves one client at a time, and to connect costs nothing.
    return await Remote.open(account, lambda: connect(path), keep=False)


async def connect(path: str) -> _Socket:
    """Raises Unavailable."""
    try:
        with reached(Path(path)) as trusted:
            async with asyncio.timeout(_CONNECT):
                link = _Socket(*await asyncio.open_unix_connection(trusted.path, limit=lacme.MAX_LINE))
            try:
                trusted.check_peer(link.writer.get_extra_info("socket"))
            except NotTrusted:
                await link.close()
                raise
            return link
    except NotTrusted as error:
        raise Unavailable(str(error)) from error
    except FileNotFoundError as error:
        raise Unavailable(
            "there is no such socket; start acme-keyd --socket there, or on the other host and ssh -R again"
        ) from error
    except ConnectionRefusedError as error:
        raise Unavailable("nobody listens there any more; remove it, and start acme-keyd or ssh -R again") from error
    except TimeoutError as error:
        raise Unavailable("who listens there takes no connection") from error
    except OSError as error:
        raise Unavailable(f"cannot connect: {error.strerror or error}") from error
