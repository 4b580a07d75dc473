# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -I -m acmed.clientd"""

import socket
from contextlib import suppress

from acmed.paths import KEY_SOCKET


def warm_keyd() -> None:
    """Has PID 1 start acme-keyd, which will be needed, while we load what we need."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        connection.connect(str(KEY_SOCKET))


warm_keyd()

from acmed.clientd.main import main  # noqa: E402 - takes as long as acme-keyd does

main()
