# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.freedesktop.LogControl1 (org.freedesktop.LogControl1(5)): systemctl service-log-level acmed.service debug.

dbus/org.acmed1.conf has it for root alone.
"""

from collections.abc import Mapping
from typing import Any

from acmed import journal
from acmed.bus.server import Call, Handler
from acmed.bus.xml import parse
from acmed.manager.options import invalid

IDENTIFIER = "acmed"

_INTERFACE = parse(
    """\
<node>
  <interface name="org.freedesktop.LogControl1">
    <property name="LogLevel" type="s" access="readwrite">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
    <property name="LogTarget" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
    <property name="SyslogIdentifier" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
    </property>
  </interface>
</node>
"""
)["org.freedesktop.LogControl1"]


class LogControl:
    """How much acmed logs."""

    interface = _INTERFACE

    def methods(self) -> Mapping[str, Handler]:
        return {}

    def properties(self) -> Mapping[str, Any]:
        return {"LogLevel": journal.level(), "LogTarget": "journal", "SyslogIdentifier": IDENTIFIER}

    async def set_property(self, _: Call, name: str, value: Any) -> None:
        """LogLevel is the only one that can be set."""
        if value not in journal.LEVELS:
            raise invalid(f"There is no log level '{value}'; the known ones are {', '.join(journal.LEVELS)}")
        journal.setup(IDENTIFIER, value)
