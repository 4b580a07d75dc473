# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of acme-clientd, as its unit starts it."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from acmed import config, daemon, journal, paths, varlink
from acmed.clientd.accounts.outstanding import Outstanding
from acmed.clientd.ca.authority import Authorities
from acmed.clientd.ca.transport import Transport
from acmed.clientd.limits import Limits
from acmed.clientd.notes import Notes
from acmed.clientd.orders.store import Store
from acmed.clientd.service import Handlers
from acmed.clientd.signer import Signer
from acmed.clientd.standing import Inquiry
from acmed.config.model import Configuration

_IDLE = 30.0  # seconds: connections, nonces and directories stay warm between the steps of an order
_FILE_THREADS = 8


def main() -> None:
    """Runs until idle or told to stop. Exits at once then: a thread may still hang on an answer that never ends."""
    journal.setup("acme-clientd", _configuration().log_level("acme-clientd"))
    state = os.environ.get("STATE_DIRECTORY")
    if not state:
        raise SystemExit("STATE_DIRECTORY is not set: this program is started by acme-clientd.service.")
    asyncio.run(_run(Path(state)))
    os._exit(0)


async def _run(state: Path) -> None:
    # The default pool grows with the number of CPUs, and TasksMax= does not.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_FILE_THREADS, "files"))
    limits = Limits()
    transport = Transport(limits)
    signer = Signer(varlink.Client(varlink.load("org.acmed.Key"), paths.KEY_SOCKET))
    inquiry = Inquiry(limits)
    kept = Store(state / "orders")
    outstanding = Outstanding(state / "key-changes")
    authorities = Authorities(transport, limits, Notes(state / "notes"))
    handlers = Handlers(_configuration, authorities, signer, kept, inquiry, outstanding)
    service = varlink.Service(varlink.load("org.acmed.Client"), handlers)
    await daemon.serve({"client": service}, idle=_IDLE)
    transport.close()
    inquiry.close()


def _configuration() -> Configuration:
    return config.load().configuration
