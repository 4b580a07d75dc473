# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of acme-dnsd, as its unit starts it."""

import asyncio
import os
from pathlib import Path

from acmed import config, daemon, journal, varlink
from acmed.config.model import Configuration
from acmed.dnsd.resolver import system_resolvers
from acmed.dnsd.service import Handlers
from acmed.dnsd.transport import Transport

_IDLE = 15.0  # seconds


def main() -> None:
    """Runs until idle or SIGTERM. The unit gives CREDENTIALS_DIRECTORY and the socket."""
    journal.setup("acme-dnsd", _configuration().log_level("acme-dnsd"))
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if not credentials:
        raise SystemExit("CREDENTIALS_DIRECTORY is not set: this program is started by acme-dnsd.service.")
    asyncio.run(_run(Path(credentials)))


async def _run(credentials: Path) -> None:
    handlers = Handlers(_configuration, system_resolvers, Transport(), credentials)
    await daemon.serve({"dns": varlink.Service(varlink.load("org.acmed.DNS"), handlers)}, _IDLE)


def _configuration() -> Configuration:
    return config.load().configuration
