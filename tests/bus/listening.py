# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers on their sockets."""

import asyncio
import socket
from pathlib import Path
from typing import Any

from acmed import varlink
from acmed.varlink import Service, VarlinkError
from tests.bus.peers import Peer
from tests.bus.privd import Privd


class _Methods:
    """A peer by the method names of its interface. Those that it does not have are answered as such."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        if isinstance(peer, Privd):  # which has these names for the tests' own use
            self.configure = peer.configure_method
            self.install = peer.install_method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name, _not_implemented)


async def _not_implemented(_: varlink.Call, **given: Any) -> dict[str, Any]:
    raise VarlinkError("org.varlink.service.MethodNotImplemented", method="")


class Listening:
    """Serves a peer on a socket."""

    def __init__(self, interface: str, handlers: Peer, path: Path) -> None:
        self._service = Service(varlink.load(interface), _Methods(handlers))
        self._path = path
        self._listener = self._open()

    def _open(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen(64)
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, self._service.accept, listener)
        return listener

    def close(self) -> None:
        """Nobody can connect any more; calls that have begun go on."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._path.unlink()

    def reopen(self) -> None:
        self._listener = self._open()
