# SPDX-License-Identifier: LGPL-2.1-or-later
"""The timer's unit, run at once."""

from tests.machine import Machine


def run_timer(machine: Machine, fails: bool = False) -> str:
    """Runs it, however often it was run before; what acmectl and acmed wrote into the journal meanwhile."""
    cursor = machine.journal_cursor()
    machine.run(["systemctl", "reset-failed", "acme-renew.service"], check=False)
    result = machine.run(["systemctl", "start", "acme-renew.service"], check=False)
    assert (result.returncode != 0) == fails, result
    units = ["_SYSTEMD_UNIT=acme-renew.service", "_SYSTEMD_UNIT=acmed.service"]
    return machine.journal_after(cursor, "--output=cat", *units)
