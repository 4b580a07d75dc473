# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's start: a listening socket in."""

import asyncio
import os

from acmed import config, daemon, journal, paths
from acmed.alpn01.responder import Responder

_IDLE = 10.0  # seconds


def main() -> None:
    """Runs until idle or SIGTERM, on the socket that the socket unit has open.

    Exits with 64 where there is none: the port is taken by another program, so the socket unit failed.
    """
    journal.setup("acme-alpn01", config.load().configuration.log_level("acme-alpn01"))
    sockets = daemon.inherited_sockets()
    if not sockets:
        journal.error("There is no socket to answer on: acme-alpn01 is started by its socket unit")
        raise SystemExit(os.EX_USAGE)
    responder = Responder(paths.ALPN01_DIRECTORY)
    asyncio.run(daemon.serve(dict.fromkeys(sockets, responder), _IDLE, sockets))
