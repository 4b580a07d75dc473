# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is on the bus, as dbus/org.acmed1.xml says it: a call is handed to requests/, a property is read from known/."""
