# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-privd: org.acmed.Priv on its socket."""

import asyncio

from acmed import daemon, journal, varlink
from acmed.privd.handlers.accounts import Accounts
from acmed.privd.handlers.certificates import Certificates
from acmed.privd.handlers.challenges import Challenges
from acmed.privd.handlers.notices import Notices
from acmed.privd.handlers.revocations import Revocations
from acmed.privd.places import Places

_IDLE = 15.0  # seconds


class Priv(Accounts, Certificates, Challenges, Notices, Revocations):
    """Answers org.acmed.Priv."""


def main() -> None:
    """Runs until idle or SIGTERM."""
    places = Places()
    journal.setup("acme-privd", places.configuration().log_level("acme-privd"))
    service = varlink.Service(varlink.load("org.acmed.Priv"), Priv(places))
    asyncio.run(daemon.serve({"priv": service}, _IDLE))
