# SPDX-License-Identifier: LGPL-2.1-or-later
"""CAs of a test's own, beside the one of all tests, and accounts there."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tests.machine import Machine, Pebble

LEFT = (
    "/etc/acmed/acmed.toml.d/account-{}.toml",
    "/etc/acmed/ca/{}.pem",
    "/etc/credstore.encrypted/acmed.accounts/{}",
    "/etc/credstore.encrypted/acmed.bindings/{}",
)


@contextlib.contextmanager
def another(machine: Machine, name: str, port: int, **settings: Any) -> Iterator[Pebble]:
    """Another Pebble, without an account. There is `pebble` already, whose DNS server it asks."""
    with Pebble(machine, name=f"pebble-{name}", port=port, **settings) as pebble:
        yield pebble


@contextlib.contextmanager
def account(machine: Machine, name: str, directory: str, ca_file: str = Pebble.ca_file) -> Iterator[str]:
    """An account of that name; its certificates are to be forgotten before it goes."""
    options = ["--directory", directory, "--ca-file", ca_file, "--agree-tos"]
    machine.run(["acmectl", "account", "add", name, *options])
    try:
        yield name
    finally:
        remove_account(machine, name)


def remove_account(machine: Machine, name: str) -> None:
    """Nothing of it is left on this host; the CA is not told."""
    machine.run(["rm", "-f", *(path.format(name) for path in LEFT)])
    machine.run(["systemctl", "stop", "acme-keyd.service", "acme-clientd.service"])


def forget(machine: Machine, prefix: str) -> None:
    """Ends the management of all certificates whose names begin like this."""
    listed = machine.run(["acmectl", "list", "--quiet"]).stdout.splitlines()
    for name in (line.split()[0] for line in listed if line.startswith(prefix)):
        machine.run(["acmectl", "forget", name])


def ca_status(machine: Machine, pebble: Pebble, serial: str) -> dict[str, object]:
    """What the CA says of a certificate."""
    url = f"{pebble.management}/cert-status-by-serial/{serial}"
    answer = machine.run(["curl", "--silent", "--fail", "--cacert", pebble.ca_file, url]).stdout
    status: dict[str, object] = json.loads(answer)
    return status
