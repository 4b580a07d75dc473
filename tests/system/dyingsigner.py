# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs on the other host, as ssh's forced command: acme-keyd --stdio that dies when a test wants it.

A program of its own: it is copied there. ~/die has a line PATH WHEN HOW-OFTEN. PATH is the beginning of the path of the
URL of a request, as Pebble has it. WHEN is "before" or "after", for the session that dies before or
after the signature is made, or "keyd" for acme-keyd that is killed before. HOW-OFTEN is "once" or "always".
"""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

DIE = Path.home() / "die"


def main() -> None:
    pipe = subprocess.PIPE
    keyd = subprocess.Popen(["/usr/bin/acme-keyd", "--stdio"], stdin=pipe, stdout=pipe)
    assert keyd.stdin
    assert keyd.stdout
    for _ in range(2):
        say(keyd.stdout.readline())
    for line in sys.stdin.buffer:
        when = death(line)
        if when == "before":
            end_session()
        if when == "keyd":
            keyd.kill()
            keyd.wait()
        keyd.stdin.write(line)
        keyd.stdin.flush()
        answer = keyd.stdout.readline()
        if when == "after":
            end_session()
        if not answer:
            return
        say(answer)


def death(line: bytes) -> str:
    """When it is to come; empty for never."""
    try:
        path, when, often = DIE.read_text().split()
    except FileNotFoundError:
        return ""
    protected = line.partition(b".")[0]
    header = json.loads(base64.urlsafe_b64decode(protected + b"=" * (-len(protected) % 4)))
    if not urlsplit(header["url"]).path.startswith(path):
        return ""
    if often == "once":
        DIE.unlink()
    return when


def end_session() -> None:
    """Kills the user's part of sshd, as if the connection broke."""
    pid = os.getppid()
    while not Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(pid, signal.SIGKILL)
    signal.pause()


def say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
