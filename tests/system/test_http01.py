# SPDX-License-Identifier: LGPL-2.1-or-later
"""The responder behind systemd's sockets, with strangers on the network and a web server in front."""

from pathlib import Path

import pytest

from tests.machine import Machine
from tests.system.lease import ANSWER, CONTENT, PATH, RESPONDER, SOCKET, TOKEN, Lease, pending_challenge, state
from tests.system.network import ADDRESSES, Stranger, hostile, stranger

DOCS = Path(__file__).parents[2] / "docs" / "webserver"

# For hostile().
HOSTILE = """
import os, socket, struct, sys
kind, address = sys.argv[1:]
crowd = []
for _ in range({"crowd": 600, "reset": 200}.get(kind, 200)):
    peer = socket.create_connection((address, 80), 20)
    crowd.append(peer)
    if kind == "slow":
        peer.sendall(b"GET /.well-known/acme-challenge/")
    elif kind == "line":
        try:
            peer.sendall(b"A" * 200_000)
        except OSError:
            pass
    elif kind == "garbage":
        peer.sendall(os.urandom(500) + b"\\n\\n")
    elif kind == "half":
        peer.sendall(b"GET / HT")
        peer.shutdown(socket.SHUT_WR)
    elif kind == "reset":
        peer.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
print("ready", flush=True)
sys.stdin.read()
"""


def check_answers(machine: Machine) -> None:
    with stranger(machine) as ca, pending_challenge(machine):
        Lease(machine).start()
        for address in ADDRESSES:
            assert ca.get(PATH, address) == ANSWER
            assert ca.get("/", address) == "404 "
            assert ca.get(f"{PATH}?a", address) == "404 "
        head = ca.run(["curl", "--silent", "--head", f"http://{ADDRESSES[0]}{PATH}"]).splitlines()
        assert head[0] == "HTTP/1.1 200 OK"
        assert f"Content-Length: {len(CONTENT)}" in head
        assert "Content-Type: application/octet-stream" in head
        assert "X-Content-Type-Options: nosniff" in head
        refused = ca.run(["curl", "--silent", "--include", "--data", "a=b", f"http://{ADDRESSES[0]}{PATH}"])
        assert refused.startswith("HTTP/1.1 405 Method Not Allowed")
        assert "Allow: GET, HEAD" in refused
        machine.write(f"/run/acmed/http01/{TOKEN[:-1]}X", "later")
        assert ca.get(f"{PATH[:-1]}X") == "200 later"
        machine.run(["rm", f"/run/acmed/http01/{TOKEN[:-1]}X"])
        assert ca.get(f"{PATH[:-1]}X") == "404 "
        log = machine.journal(RESPONDER)
        assert f"Answered the challenge with token {TOKEN}" in log
        assert "Traceback" not in log


def test_answers(machine: Machine) -> None:
    check_answers(machine)


def test_answers_on_debian_12(bookworm: Machine) -> None:
    check_answers(bookworm)


@pytest.mark.parametrize("kind", ["silent", "slow", "line", "garbage", "half", "reset", "crowd"])
def test_hostile_peers_cost_no_validation(lease: Lease, ca: Stranger, kind: str) -> None:
    machine = lease.machine
    lease.start()
    with hostile(machine, HOSTILE, kind):
        for address in ADDRESSES:
            assert ca.get(PATH, address) == ANSWER
    assert "Traceback" not in machine.journal(RESPONDER)
    assert machine.run(["systemctl", "show", "--property=NRestarts", "--value", RESPONDER]).stdout == "0\n"


def test_slow_peer_does_not_keep_the_port_open(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    lease.start()
    with hostile(machine, HOSTILE, "slow"):
        lease.stop()
        machine.wait_until("the responder to end", lambda: state(machine, RESPONDER) == "inactive", timeout=4)
        machine.wait_until("the socket to close", lambda: state(machine, SOCKET) == "inactive", timeout=4)


def test_ends_when_idle_and_starts_again(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    lease.start()
    machine.wait_until("the responder to be idle", lambda: state(machine, RESPONDER) == "inactive")
    assert state(machine, SOCKET) == "active"
    assert ca.get(PATH) == ANSWER


def test_sees_nothing_but_tokens(lease: Lease) -> None:
    """From inside its namespaces."""
    machine = lease.machine
    lease.start()
    machine.wait_until("the responder to run", lambda: state(machine, RESPONDER) == "active")
    pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", RESPONDER]).stdout.strip()
    root = f"/proc/{pid}/root"
    assert machine.run(["find", f"{root}/run", "-type", "f"]).stdout.split() == [f"{root}/run/acmed/http01/{TOKEN}"]
    assert machine.run(["touch", f"{root}/run/acmed/http01/x"], check=False).returncode != 0
    links = machine.run(["nsenter", "--target", pid, "--net", "ip", "-br", "link"]).stdout.split()
    assert links[0] == "lo"
    assert "host@" not in " ".join(links)
    status = dict(line.split(":\t", 1) for line in machine.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0000000000000000"}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Uid"].split()[0] != "0"


def test_web_server_passes_requests_on(lease: Lease, ca: Stranger) -> None:
    """nginx with the snippet of docs/webserver."""
    machine, site = lease.machine, "/etc/nginx/sites-enabled/acmed-test"
    machine.put(DOCS / "nginx.conf", "/etc/nginx/snippets/acmed.conf")
    machine.write(
        site,
        "server { listen 192.0.2.1:80; listen [2001:db8::1]:80; include snippets/acmed.conf;"
        " location / { return 301 /moved; } }\n",
    )
    proxied = Lease(machine, kind="acme-http01-proxied-lease")
    try:
        machine.run(["systemctl", "restart", "nginx.service"])
        assert ca.get(PATH).startswith("502 ")
        proxied.start()
        assert [ca.get(PATH, address) for address in ADDRESSES] == [ANSWER, ANSWER]
        assert ca.get("/.well-known/acme-challenge/") == "404 "
        assert ca.get("/else").startswith("301 ")
        assert state(machine, SOCKET) == "inactive"
        proxied.stop()
        machine.wait_until("the socket to close", lambda: state(machine, "acme-http01-proxied.socket") == "inactive")
        assert ca.get(PATH).startswith("502 ")
    finally:
        machine.run(["systemctl", "stop", "nginx.service"])
        machine.run(["rm", site, "/etc/nginx/snippets/acmed.conf"])
