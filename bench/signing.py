# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures acme-keyd's signatures through its whole path (socket, policy, permit, P-256, journal) beside those of
openssl(1), and writes bench/signing.md: `python3 -m bench.signing`, a part of `make bench`.
"""

import json
import re
import statistics
import sys
from pathlib import Path

from bench.__main__ import describe, trust
from tests.machine import Machine, Pebble, package

RESULTS = Path(__file__).with_name("signing.md")
CLIENT = Path(__file__).with_name("signing_client.py")
_ALONE, _TOGETHER = 3000, 300  # signatures of a client
_CLIENTS = 16


def main() -> int:
    """Measure in a machine of its own."""
    with Machine("bench") as machine:
        package.install_at_rest(machine, package.build_deb())
        with Pebble(machine) as pebble:
            trust(machine, pebble)
            host = describe(machine)
            machine.run(["acmectl", "account", "add", "--directory", pebble.directory, "--agree-tos"])
            machine.put(CLIENT, "/root/signing_client.py")
            url = pebble.directory.rpartition("/")[0] + "/finalize-order/1"
            (alone,) = ask(machine, 1, _ALONE, url)
            together = ask(machine, _CLIENTS, _TOGETHER, url)
            openssl = speed(machine)
    text = report(host, alone, together, openssl)
    print(text)
    RESULTS.write_text(text)
    return 0


def ask(machine: Machine, clients: int, count: int, url: str) -> list[list[float]]:
    """What each signature took, in seconds, for each client."""
    result = machine.run(["python3", "/root/signing_client.py", str(clients), str(count), url], timeout=600)
    times: list[list[float]] = json.loads(result.stdout)
    return times


def speed(machine: Machine) -> float:
    """Seconds for a signature of openssl speed."""
    shown = machine.run(["openssl", "speed", "-seconds", "2", "ecdsap256"]).stdout
    found = re.search(r"ecdsa \(nistp256\)\s+[0-9.]+s\s+[0-9.]+s\s+([0-9.]+)", shown)
    if found is None:
        raise SystemExit(f"openssl speed says something else: {shown}")
    return 1 / float(found[1])


def report(host: str, alone: list[float], together: list[list[float]], openssl: float) -> str:
    """The results, as Markdown."""
    medians = sorted(statistics.median(times) for times in together)
    middle, slowest = statistics.median(medians), medians[-1]
    percentile = statistics.quantiles(alone, n=100)[98]
    return f"""# Signatures of acme-keyd

{host}

A finalize request on a P-256 key: connection, policy, permit (written to its file), signature, entry in the journal.

| | ms |
|---|---|
| one client, median of {len(alone)} | {statistics.median(alone) * 1e3:.3f} |
| one client, 99 of 100 within | {percentile * 1e3:.3f} |
| `openssl speed ecdsap256`, the signature alone | {openssl * 1e3:.3f} |
| {len(together)} clients at once, the median client's median | {middle * 1e3:.3f} |
| {len(together)} clients at once, the slowest client's median | {slowest * 1e3:.3f} |

The slowest of {len(together)} clients waits {slowest / middle:.2f} times as long as the one in the middle.
"""


if __name__ == "__main__":
    sys.exit(main())
