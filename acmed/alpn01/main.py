# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's start."""

from acmed import paths, strangers
from acmed.alpn01.responder import Responder


def main() -> None:
    """Runs until idle or SIGTERM; exits as strangers.run() says."""
    strangers.run("acme-alpn01", Responder(paths.ALPN01_DIRECTORY))
