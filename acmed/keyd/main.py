# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's start: credentials and permits in, two sockets out."""

import asyncio
import os
import sys
from pathlib import Path

from acmed import daemon, journal, paths, varlink
from acmed.config.current import CurrentAccounts
from acmed.keyd.credentials import Credentials, read
from acmed.keyd.keyring import Keyring
from acmed.keyd.permits import Permits
from acmed.keyd.permitting import PermitService
from acmed.keyd.signing import KeyService

_IDLE = 10.0  # seconds


def main() -> None:
    """Runs until idle or SIGTERM. The unit gives CREDENTIALS_DIRECTORY, RUNTIME_DIRECTORY and both sockets.

    With options it needs no unit: then it signs for others, as far/main.py says.
    """
    if len(sys.argv) > 1:
        from acmed.keyd.far.main import main as sign_for_others  # noqa: PLC0415  the unit has no use for it

        sign_for_others(sys.argv[1:])
        return
    accounts = CurrentAccounts()
    journal.setup("acme-keyd", accounts.configuration.log_level("acme-keyd"))
    directory, runtime = os.environ.get("CREDENTIALS_DIRECTORY"), os.environ.get("RUNTIME_DIRECTORY")
    if not runtime:
        raise SystemExit(
            "RUNTIME_DIRECTORY is not set: acme-keyd is started by acme-keyd.service, or with --socket or --stdio."
        )
    keyring = Keyring(read(Path(directory)) if directory else Credentials(), paths.STORES)
    permits = Permits(Path(runtime) / "permits.json")
    services = {
        "key": varlink.Service(varlink.load("org.acmed.Key"), KeyService(accounts, keyring, permits)),
        "permit": varlink.Service(varlink.load("org.acmed.KeyPermit"), PermitService(accounts, keyring, permits)),
    }
    asyncio.run(daemon.serve(services, _IDLE))
