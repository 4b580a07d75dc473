# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where acmed finds things; a test gives it places of its own."""

from dataclasses import dataclass
from pathlib import Path

from acmed import paths
from acmed.config.load import ETC, USR


@dataclass(frozen=True)
class Places:
    """etc, usr: configuration. certificates: what is installed. state: acmed's own. tokens: for acme-http01, answers:
    for acme-alpn01.
    """

    etc: Path = ETC
    usr: Path = USR
    certificates: Path = paths.CERTIFICATES
    state: Path = paths.MANAGER_STATE
    tokens: Path = paths.HTTP01_DIRECTORY
    priv_socket: Path = paths.PRIV_SOCKET
    client_socket: Path = paths.CLIENT_SOCKET
    answers: Path = paths.ALPN01_DIRECTORY
    dns_socket: Path = paths.DNS_SOCKET
