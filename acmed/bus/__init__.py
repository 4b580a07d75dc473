# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus: the one place that knows the library under it (dbus-next), so that it can be exchanged.

connection.py calls, listens and answers; xml.py reads interface files; server.py is a tree of objects on top of both.
"""

from acmed.bus.connection import Bus, Dispatcher, MethodCall, Signal, Variant
from acmed.bus.errors import BusLost, DBusError

__all__ = ["Bus", "BusLost", "DBusError", "Dispatcher", "MethodCall", "Signal", "Variant"]
