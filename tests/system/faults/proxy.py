# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the machine: passes HTTPS on to Pebble, and does to some requests what the file PLAN says.

PLAN is a JSON list of faults, and a new one begins a new count. A fault has "path", what the paths that it is for begin
with, and "do":

reset     the connection, and Pebble sees nothing
lose      the answer: Pebble has done it, and the connection is reset
refuse    answered here, with "status", "headers" and "body"; Pebble sees nothing. In a header field {date+N} is the
          HTTP-date in N seconds
nonce     refused here as badNonce, with a good one
change    the answer's "status", "headers", "type", and with "set" fields of its JSON
cut       half of the answer, then the end of the connection
huge      an answer of many megabytes

and perhaps "after", how many such requests pass before; "times", how many it is done to; and "every", to each how
many-th. The first fault that is for a request is done to it. LOG gets a JSON object for each request.
"""

import email.utils
import http.client
import json
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.system.gate.proxy import CA, CERTIFICATE, KEY, PASSED, PEBBLE, names

PORT = 14002
DIRECTORY = Path("/run/faults")
PLAN, LOG = DIRECTORY / "plan", DIRECTORY / "log"
PROBLEM = "application/problem+json"
NEVER = 10**9
HUGE = 64 * 1024 * 1024

Fault = Mapping[str, Any]
Answer = tuple[int, dict[str, str], bytes]


class Plan:
    """What is to be done, and how often it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._faults: list[Fault] = []
        self._seen: Counter[int] = Counter()

    def next(self, path: str) -> Fault:
        """What is done to a request; {} for nothing."""
        with self._lock:
            self._read()
            for number, fault in enumerate(self._faults):
                if path.startswith(fault["path"]) and self._is_due(number, fault):
                    return fault
        return {}

    def _read(self) -> None:
        version = PLAN.stat().st_mtime_ns if PLAN.exists() else 0
        if version != self._version:
            self._faults = json.loads(PLAN.read_text()) if version else []
            self._version = version
            self._seen.clear()

    def _is_due(self, number: int, fault: Fault) -> bool:
        index: int = self._seen[number] - fault.get("after", 0)
        self._seen[number] += 1
        every: int = fault.get("every", 1)
        times: int = fault.get("times", NEVER)
        return 0 <= index < times * every and index % every == 0


PLANNED = Plan()
LOGGING = threading.Lock()


class Exchange(BaseHTTPRequestHandler):
    """One connection of a client's."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = PLANNED.next(self.path)
        done = fault.get("do", "pass")
        record = {"time": time.time(), "path": self.path, "names": names(body), "done": done, "ca": None, "made": None}
        match done:
            case "reset":
                self.reset()
            case "refuse":
                self.answer(fault["status"], fault.get("headers", {}), fault.get("body", "").encode())
            case "nonce":
                problem = {"type": "urn:ietf:params:acme:error:badNonce", "detail": "not this one"}
                _, headers, _ = upstream("HEAD", "/nonce-plz", b"", {"User-Agent": "faults"})
                nonce = {"Replay-Nonce": headers["Replay-Nonce"], "Content-Type": PROBLEM}
                self.answer(400, nonce, json.dumps(problem).encode())
            case _:
                answer = upstream(self.command, self.path, body, dict(self.headers))
                record |= {"ca": answer[0], "made": answer[1].get("Location")}
                self.pass_back(fault, answer)
        with LOGGING, LOG.open("a") as log:
            log.write(json.dumps(record) + "\n")

    do_GET = do_HEAD = do_POST  # noqa: N815  the base class wants these names

    def pass_back(self, fault: Fault, answer: Answer) -> None:
        """What Pebble answered, or what becomes of it."""
        status, headers, content = answer
        match fault.get("do"):
            case "lose":
                self.reset()
            case "cut":
                self.answer(status, headers, content, len(content) // 2)
            case "huge":
                self.answer(status, headers, b" " * HUGE)
            case "change":
                headers = headers | fault.get("headers", {})
                headers |= {"Content-Type": fault["type"]} if "type" in fault else {}
                if "set" in fault:
                    content = json.dumps(json.loads(content) | fault["set"]).encode()
                self.answer(fault.get("status", status), headers, content)
            case _:
                self.answer(status, headers, content)

    def answer(self, status: int, headers: Mapping[str, str], content: bytes, cut: int | None = None) -> None:
        """Sends it; where it is cut, so many bytes of it and the end."""
        self.send_response_only(status)
        now = time.time()
        for name, value in {"Date": "{date+0}", **headers}.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, re.sub(r"\{date\+(\d+)\}", lambda found: later(now, found[1]), value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(b"" if self.command == "HEAD" else content[:cut])
        except OSError:
            self.close_connection = True  # the client has had enough of it
        self.close_connection |= cut is not None

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """The journal has enough."""


def later(now: float, seconds: str) -> str:
    return email.utils.formatdate(now + int(seconds), usegmt=True)


def upstream(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """What Pebble answers. It puts the host that it was asked for into all URLs, and so all come back here."""
    passed = {name: headers[name] for name in PASSED if name in headers}
    connection = http.client.HTTPSConnection("localhost", PEBBLE, context=ssl.create_default_context(cafile=CA))
    connection.request(method, path, body or None, passed | {"Host": f"localhost:{PORT}"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, {name: value for name, value in response.getheaders() if name != "Date"}, content


def main() -> None:
    server = ThreadingHTTPServer(("localhost", PORT), Exchange)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
