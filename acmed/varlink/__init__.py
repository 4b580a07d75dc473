# SPDX-License-Identifier: LGPL-2.1-or-later
"""Varlink (https://varlink.org) on AF_UNIX: what the daemons speak with each other.

idl.py reads an interface file and checks values against it, wire.py frames messages, server.py answers and
client.py calls. acmed/interfaces/ has the interface files; they are the single source of names and types.
"""

from acmed.varlink.client import Client
from acmed.varlink.errors import ConnectionLost, InterfaceError, VarlinkError, answering, invalid_parameter
from acmed.varlink.idl import Interface, load
from acmed.varlink.server import Call, Service, more

__all__ = [
    "Call",
    "Client",
    "ConnectionLost",
    "Interface",
    "InterfaceError",
    "Service",
    "VarlinkError",
    "answering",
    "invalid_parameter",
    "load",
    "more",
]
