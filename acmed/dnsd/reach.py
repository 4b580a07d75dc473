# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether an address is this host's."""

import ipaddress
import socket

_ANY_PORT = 9  # nothing is sent


def is_local(address: str) -> bool:
    """Told by the kernel's choice of a source: to an address of its own, a host speaks from that address."""
    if ipaddress.ip_address(address).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        try:
            peer.connect((address, _ANY_PORT))
        except OSError:
            return False
        own: str = peer.getsockname()[0]
        return ipaddress.ip_address(own) == ipaddress.ip_address(address)
