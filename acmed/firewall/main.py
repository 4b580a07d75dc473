# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command that the units run: python3 -I -m acmed.firewall BACKEND open|close|recover PORT.

recover is for ExecStopPost=: it closes where the start or the stop did not end well (systemd.exec(5), $SERVICE_RESULT).
"""

import importlib
import os
import sys

from acmed import journal
from acmed.firewall import FirewallError

_BACKENDS = ("nft", "firewalld", "iptables")
_USAGE = f"Usage: python3 -I -m acmed.firewall {'|'.join(_BACKENDS)} open|close|recover PORT"


def main() -> None:
    """Exits with 1 where the port could not be opened or closed, and with 2 for a wrong call."""
    match sys.argv[1:]:
        case [backend, ("open" | "close" | "recover") as verb, text] if backend in _BACKENDS and _is_port(text):
            port = int(text)
        case _:
            print(_USAGE, file=sys.stderr)
            raise SystemExit(2)
    journal.setup("acme-firewall")
    if verb == "recover" and os.environ.get("SERVICE_RESULT") == "success":
        return
    if verb == "open" and not _is_wanted():
        return
    module = importlib.import_module(f"acmed.firewall.{backend}")  # the others would be loaded for nothing
    try:
        (module.open_port if verb == "open" else module.close_port)(port)
    except FirewallError as error:
        journal.error(
            'Cannot %s TCP port %d: %s (where it is open anyway, set firewall = "off")', verb, port, error, port=port
        )
        raise SystemExit(1) from None


def _is_wanted() -> bool:
    """Whether the configuration lets us; closing does not ask, as it may have changed since."""
    from acmed import config  # noqa: PLC0415 - takes longer to load than closing does

    configuration = config.load().configuration
    journal.setup("acme-firewall", configuration.log_level("acme-firewall"))
    return configuration.firewall


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536
