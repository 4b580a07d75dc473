# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's start."""

from acmed import paths, strangers
from acmed.http01.responder import Responder


def main() -> None:
    """Runs until idle or SIGTERM; exits as strangers.run() says."""
    strangers.run("acme-http01", Responder(paths.HTTP01_DIRECTORY))
