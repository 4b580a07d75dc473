# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the machine: passes HTTPS on to a Pebble, whose port is the program's argument."""

import base64
import http.client
import json
import ssl
import sys
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CERTIFICATE, KEY, CA = "/etc/pebble/server.pem", "/etc/pebble/server.key", "/etc/pebble/ca.pem"
PASSED = ("Content-Type", "Accept", "User-Agent")
OURS = ("content-length", "transfer-encoding", "connection")

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]


class Passing(BaseHTTPRequestHandler):
    """One connection of a client's."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Whatever the method is."""
        self.exchange(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_GET = do_HEAD = do_POST  # noqa: N815  the base class wants these names

    def exchange(self, body: bytes) -> None:
        """One request, and what comes of it."""
        raise NotImplementedError

    def upstream(self, body: bytes) -> Answer:
        """What Pebble answers to the request. It puts the host that it was asked for into all URLs, and so all come
        back here.
        """
        headers = {name: self.headers[name] for name in PASSED if name in self.headers}
        headers["Host"] = f"localhost:{self.connection.getsockname()[1]}"
        return ask(self.command, self.path, body, headers)

    def begin(self, status: int, headers: Iterable[tuple[str, str]], size: int) -> None:
        """Sends all of an answer but its content."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in OURS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """The journal has enough."""


def ask(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """What Pebble answers."""
    context = ssl.create_default_context(cafile=CA)
    connection = http.client.HTTPSConnection("localhost", int(sys.argv[1]), context=context)
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.getheaders(), content


def names(body: bytes) -> list[str]:
    """The identifiers in a JWS, which only newOrder has."""
    try:
        return [identifier["value"] for identifier in members(body)["identifiers"]]
    except (KeyError, TypeError):
        return []


def members(body: bytes) -> dict[str, Any]:
    """What is in the payload of a JWS; nothing where there is none."""
    try:
        encoded = json.loads(body)["payload"]
        payload = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, KeyError, TypeError):
        return {}
    return payload if isinstance(payload, dict) else {}


def serve(port: int, handler: type[Passing]) -> None:
    server = ThreadingHTTPServer(("localhost", port), handler)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
