# SPDX-License-Identifier: LGPL-2.1-or-later
"""Throw-away Debian machines with real systemd, booted in a container on a host that need not run systemd."""

from tests.machine.machine import CommandFailed, Machine
from tests.machine.pebble import Pebble
from tests.machine.waiting import wait_until

__all__ = ["CommandFailed", "Machine", "Pebble", "wait_until"]
