# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's start: one or more listening sockets in."""

import asyncio
import os

from acmed import config, daemon, journal, paths
from acmed.http01.responder import Responder

_IDLE = 10.0  # seconds


def main() -> None:
    """Runs until idle or SIGTERM, on whatever sockets the socket units have open.

    Exits with 64 where there is none: the port is taken by another program, so the socket unit failed.
    """
    journal.setup("acme-http01", config.load().configuration.log_level("acme-http01"))
    sockets = daemon.inherited_sockets()
    if not sockets:
        journal.error("There is no socket to answer on: acme-http01 is started by its socket unit")
        raise SystemExit(os.EX_USAGE)
    responder = Responder(paths.HTTP01_DIRECTORY)
    asyncio.run(daemon.serve(dict.fromkeys(sockets, responder), _IDLE, sockets))
