# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures acmed beside other ACME clients, and writes bench/results.md unless only some are measured: `make bench`."""

import argparse
import datetime
import os
import platform
import sys
from pathlib import Path

from bench.peers import ACMED, PEERS, ROOT, WEBROOT, Peer
from bench.report import Results, report
from bench.rounds import Rounds
from tests.machine import Machine, Pebble, package
from tests.machine.pebble import Profile

RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--clients", nargs="+", choices=PEERS, default=list(PEERS), help="measure these alone")
    parser.add_argument("--rounds", type=int, default=7, help="of one certificate, and of a run with nothing due")
    parser.add_argument("--many-rounds", type=int, default=1, help="of many certificates in one go; may be 0")
    arguments = parser.parse_args()
    peers = [PEERS[name] for name in arguments.clients]
    with Machine("bench") as machine:
        if ACMED in peers:
            package.install_at_rest(machine, package.build_deb())
        # Some clients cannot use a certificate without a common name.
        with Pebble(machine, authz_reuse=0, profiles={"default": Profile(common_name=True)}) as pebble:
            trust(machine, pebble)
            clients = [Results(peer, set_up(machine, peer)) for peer in peers]
            host = describe(machine)
            rounds = Rounds(machine, clients)
            rounds.one(arguments.rounds)
            rounds.many(arguments.many_rounds)
    text = report(clients, host, arguments.rounds, arguments.many_rounds)
    print(text)
    if arguments.clients == list(PEERS):
        RESULTS.write_text(text)
    return 0


def trust(machine: Machine, pebble: Pebble) -> None:
    """Make the CA one that every client knows, as it knows those on the Internet."""
    machine.run(["cp", pebble.ca_file, "/usr/local/share/ca-certificates/pebble.crt"])
    machine.run(["update-ca-certificates"])
    machine.write(ROOT, pebble.root_pem())
    machine.run(["mkdir", "-p", WEBROOT])


def set_up(machine: Machine, peer: Peer) -> str:
    """Prepare a client, and answer with its version."""
    print(f"setting up {peer.name}", file=sys.stderr, flush=True)
    machine.run(["sh", "-e", "-c", peer.setup])
    if peer.stop:
        machine.run(["sh", "-c", peer.stop])
    return machine.run(["sh", "-c", peer.version]).stdout.strip()


def describe(machine: Machine) -> str:
    """On what the clients are measured, as a Markdown list."""
    versions = machine.run(["dpkg-query", "--show", "--showformat=${Package} ${Version}\n", "systemd", "pebble"]).stdout
    debian = machine.read("/etc/debian_version").strip()
    lines = [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; load at the start "
        f"{os.getloadavg()[0]:.1f}",
        f"Debian {debian} booted in a container, its files in memory; {', '.join(versions.splitlines())}",
    ]
    return "\n".join(f"- {line}" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
