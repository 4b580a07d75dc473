# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the machine: passes HTTPS on to Pebble, and does to some requests what the file PLAN says.

PLAN is a JSON list of faults, and a new one begins a new count. A fault has "path", what the paths that it is for begin
with, and "do":

reset     the connection, and Pebble sees nothing
lose      the answer: Pebble has done it, and the connection is reset
refuse    answered here, with "status", "headers" and "body"; Pebble sees nothing. In a header field {date+N} is the
          HTTP-date in N seconds, {date-N} that of N seconds ago
nonce     refused here as badNonce, with a good one
change    the answer's "status", "headers", "type", and with "set" fields of its JSON
cut       half of the answer, then the end of the connection
huge      an answer of many megabytes

and perhaps "asks", a member that only such requests have in their payloads; "after", how many such requests pass
before; "times", how many it is done to; and "every", to each how many-th. The first fault that is for a request is done
to it. LOG gets a JSON object for each request.
"""

import email.utils
import json
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tests.system.proxy.passing import Passing, ask, members, names, serve

PORT = 14002
DIRECTORY = Path("/run/faults")
PLAN, LOG = DIRECTORY / "plan", DIRECTORY / "log"
PROBLEM = "application/problem+json"
NEVER = 10**9
HUGE = 64 * 1024 * 1024
DATE = re.compile(r"\{date([+-]\d+)\}")

Fault = Mapping[str, Any]


class Plan:
    """What is to be done, and how often it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._faults: list[Fault] = []
        self._seen: Counter[int] = Counter()

    def next(self, path: str, asked: Collection[str]) -> Fault:
        """What is done to a request, whose payload has these members; {} for nothing."""
        with self._lock:
            self._read()
            for number, fault in enumerate(self._faults):
                is_for_it = path.startswith(fault["path"]) and fault.get("asks") in (None, *asked)
                if is_for_it and self._is_due(number, fault):
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


class Exchange(Passing):
    """One connection of a client's."""

    def exchange(self, body: bytes) -> None:
        fault = PLANNED.next(self.path, members(body))
        done = fault.get("do", "pass")
        record = {"time": time.time(), "path": self.path, "names": names(body), "done": done, "ca": None, "made": None}
        match done:
            case "reset":
                self.reset()
            case "refuse":
                self.answer(fault["status"], fault.get("headers", {}), fault.get("body", "").encode())
            case "nonce":
                problem = {"type": "urn:ietf:params:acme:error:badNonce", "detail": "not this one"}
                _, headers, _ = ask("HEAD", "/nonce-plz", b"", {"User-Agent": "faults"})
                nonce = {"Replay-Nonce": dict(headers)["Replay-Nonce"], "Content-Type": PROBLEM}
                self.answer(400, nonce, json.dumps(problem).encode())
            case _:
                status, headers, content = self.upstream(body)
                record |= {"ca": status, "made": dict(headers).get("Location")}
                self.pass_back(fault, status, {name: value for name, value in headers if name != "Date"}, content)
        with LOGGING, LOG.open("a") as log:
            log.write(json.dumps(record) + "\n")

    def pass_back(self, fault: Fault, status: int, headers: dict[str, str], content: bytes) -> None:
        """What Pebble answered, or what becomes of it."""
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
        now = time.time()
        sent = {"Date": "{date+0}", **headers}.items()
        dated = [(name, DATE.sub(lambda found: later(now, found[1]), value)) for name, value in sent]
        self.begin(status, dated, len(content))
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


def later(now: float, seconds: str) -> str:
    return email.utils.formatdate(now + int(seconds), usegmt=True)


if __name__ == "__main__":
    serve(PORT, Exchange)
