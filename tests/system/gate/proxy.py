# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the machine: passes HTTPS on to the Pebble whose port it is told, and stops what the file HOLD names until
that file is gone.

HOLD says "request /path" (it is not passed on meanwhile) or "answer /path" (Pebble has done it, and the client does
not know); each exchange that is stopped adds a line to HELD. A request whose client is gone by then is dropped, as the
network would. LOG gets a JSON object for each request that Pebble answered.
"""

import base64
import http.client
import json
import socket
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, PEBBLE = 14001, 14000
CERTIFICATE, KEY, CA = "/etc/pebble/server.pem", "/etc/pebble/server.key", "/etc/pebble/ca.pem"
DIRECTORY = Path("/run/gate")
HOLD, HELD, LOG = DIRECTORY / "hold", DIRECTORY / "held", DIRECTORY / "log"
PASSED = ("Content-Type", "Accept", "User-Agent")


class Exchange(BaseHTTPRequestHandler):
    """One connection of a client's."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.stopped("request") and self.is_abandoned():
            self.close_connection = True
            return
        # Pebble puts the host that it was asked for into all URLs, and so all come back here.
        headers = {name: self.headers[name] for name in PASSED if name in self.headers} | {"Host": f"localhost:{PORT}"}
        upstream = http.client.HTTPSConnection(
            "localhost", int(sys.argv[1]), context=ssl.create_default_context(cafile=CA)
        )
        upstream.request(self.command, self.path, body or None, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        note(LOG, json.dumps({"path": self.path, "status": answer.status, "names": names(body)}))
        self.stopped("answer")
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    do_GET = do_HEAD = do_POST  # noqa: N815  the base class wants these names

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

    def log_message(self, format: str, *arguments: object) -> None:
        """The journal has enough."""


def held_now() -> tuple[str, str] | None:
    try:
        phase, path = HOLD.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return phase, path


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def names(body: bytes) -> list[str]:
    """The identifiers in a JWS, which only newOrder has."""
    try:
        encoded = json.loads(body)["payload"]
        payload = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        return [identifier["value"] for identifier in payload["identifiers"]]
    except (ValueError, KeyError, TypeError):
        return []


def main() -> None:
    server = ThreadingHTTPServer(("localhost", PORT), Exchange)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
