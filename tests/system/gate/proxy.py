# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the machine: passes HTTPS on to the Pebble whose port it is told, and stops what the file HOLD names until
that file is gone.

HOLD says "request /path" (it is not passed on meanwhile) or "answer /path" (Pebble has done it, and the client does
not know); each exchange that is stopped adds a line to HELD. A request whose client is gone by then is dropped, as the
network would. LOG gets a JSON object for each request that Pebble answered.
"""

import json
import socket
import time
from pathlib import Path

from tests.system.proxy.passing import Passing, names, serve

PORT = 14001
DIRECTORY = Path("/run/gate")
HOLD, HELD, LOG = DIRECTORY / "hold", DIRECTORY / "held", DIRECTORY / "log"


class Exchange(Passing):
    """One connection of a client's."""

    def exchange(self, body: bytes) -> None:
        if self.stopped("request") and self.is_abandoned():
            self.close_connection = True
            return
        status, headers, content = self.upstream(body)
        note(LOG, json.dumps({"path": self.path, "status": status, "names": names(body)}))
        self.stopped("answer")
        self.begin(status, headers, len(content))
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def stopped(self, phase: str) -> bool:
        """Waits where HOLD says so."""
        wanted = held_now()
        if wanted is None or phase != wanted[0] or not self.path.startswith(wanted[1]):
            return False
        note(HELD, f"{phase} {self.path}")
        while held_now() == wanted:
            time.sleep(0.01)
        return True

    def is_abandoned(self) -> bool:
        """Whether the client has closed the connection: it waits for an answer, and would send nothing."""
        try:
            with socket.socket(fileno=socket.dup(self.connection.fileno())) as raw:
                return raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


def held_now() -> tuple[str, str] | None:
    try:
        phase, path = HOLD.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return phase, path


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


if __name__ == "__main__":
    serve(PORT, Exchange)
