# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate's life on Debian 12, with systemd 252 and the libraries of its time; nginx serves it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from acmed.ctl.exits import Exit
from tests.machine import Machine, Pebble
from tests.machine.pebble import Profile
from tests.system.acmectl import Acmectl
from tests.system.busctl import Caller
from tests.system.conftest import add_account

NAME, OTHER = "bookworm.example.com", "www.bookworm.example.com"
# Long enough for the tests before the one that waits for its renewal to be due, which it is at half of it.
VALIDITY = 24  # seconds
SITE = f"""
server {{
    listen 443 ssl;
    ssl_certificate /var/lib/acme/{NAME}/fullchain.pem;
    ssl_certificate_key /var/lib/acme/{NAME}/privkey.pem;
    location / {{ return 200 "served\\n"; }}
}}
"""
# No server on port 80: that is acmed's while a challenge is pending.
SERVE = f"""
set -eu
rm /etc/nginx/sites-enabled/default
ln -s /etc/nginx/sites-available/{NAME} /etc/nginx/sites-enabled/
systemctl start nginx.service
"""
CLEAN = f"""
systemctl stop nginx.service
rm -f /etc/nginx/sites-enabled/{NAME} /etc/nginx/sites-available/{NAME} /root/pebble-root.pem
ln -sf /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default
acmectl forget {NAME}
rm -rf /var/lib/acme/{NAME} /var/lib/acme/.{NAME}.*
rm -f /etc/acmed/acmed.toml.d/account-default.toml /etc/acmed/ca/default.pem
rm -f /etc/credstore.encrypted/acmed.accounts/default
systemctl stop acmed.service acme-keyd.service
"""


@pytest.fixture(scope="module")
def pebble(bookworm: Machine) -> Iterator[Pebble]:
    with Pebble(bookworm) as pebble:
        yield pebble


@pytest.fixture(scope="module")
def ctl(bookworm: Machine, pebble: Pebble) -> Iterator[Acmectl]:
    """With an account, and a certificate that nginx serves."""
    add_account(bookworm, pebble)
    bookworm.write("/root/pebble-root.pem", pebble.root_pem())
    ctl = Acmectl(bookworm)
    ctl.run("order", NAME, OTHER, "--service", "nginx")
    bookworm.write(f"/etc/nginx/sites-available/{NAME}", SITE)
    bookworm.run(["sh", "-c", SERVE])
    yield ctl
    bookworm.run(["sh", "-c", CLEAN])


def served(machine: Machine) -> str:
    """The serial number of the certificate that nginx hands out."""
    script = "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    found = re.fullmatch(r"serial=(\w+)\n", machine.run(["sh", "-c", script]).stdout)
    assert found
    return found[1].lower().lstrip("0")


def certificate(machine: Machine) -> dict[str, Any]:
    return Caller(machine).certificate(NAME)


def check_served(machine: Machine) -> str:
    """nginx serves what acmed says that it installed, good for both names; its serial number.

    Its master takes a reload as done when it has told the workers, of which the old ones answer a moment longer.
    """
    serial: str = certificate(machine)["SerialNumber"].lower().lstrip("0")
    machine.wait_until("nginx to serve it", lambda: served(machine) == serial)
    for name in (NAME, OTHER):
        options = ["--cacert", "/root/pebble-root.pem", "--connect-to", f"{name}:443:127.0.0.1:443"]
        assert machine.run(["curl", "--silent", "--fail", *options, f"https://{name}/"]).stdout == "served\n"
    return serial


def test_this_is_debian_12(bookworm: Machine) -> None:
    assert bookworm.run(["systemctl", "--version"]).stdout.startswith("systemd 252 ")


def test_order(ctl: Acmectl) -> None:
    assert certificate(ctl.machine)["State"] == "valid"
    check_served(ctl.machine)


def test_renew(ctl: Acmectl) -> None:
    before = check_served(ctl.machine)
    assert "org.acmed1.Error.NotDue" in ctl.error("renew", NAME, code=Exit.NOT_NOW)
    assert check_served(ctl.machine) == before
    ctl.run("renew", "--force", NAME)
    assert check_served(ctl.machine) != before


def test_renew_by_the_unit_of_the_timer(ctl: Acmectl, pebble: Pebble) -> None:
    """Nothing is due: nothing is done, and nothing said. Then it is."""
    machine = ctl.machine
    before = check_served(machine)
    machine.run(["systemctl", "start", "acme-renew.service"])
    assert check_served(machine) == before
    pebble.profiles = {"short": Profile("Certificates that are due soon", VALIDITY)}
    pebble.restart()
    add_account(machine, pebble)
    machine.write("/root/pebble-root.pem", pebble.root_pem())
    ctl.run("renew", "--force", NAME)
    short = check_served(machine)
    machine.wait_until("the certificate to be due", lambda: certificate(machine)["State"] == "due", timeout=VALIDITY)
    machine.run(["systemctl", "start", "acme-renew.service"])
    assert check_served(machine) != short
    said = machine.run(["journalctl", "--quiet", "--boot", "--output=json", "--unit=acme-renew.service"]).stdout
    messages = [json.loads(line)["MESSAGE"] for line in said.splitlines()]
    assert any(NAME in message for message in messages), messages


def test_revoke(ctl: Acmectl, pebble: Pebble) -> None:
    serial = check_served(ctl.machine)
    ctl.run("revoke", NAME, "--reason", "superseded", "--no-replace")
    url = f"{pebble.management}/cert-status-by-serial/{serial}"
    answer = ctl.machine.run(["curl", "--silent", "--fail", "--cacert", pebble.ca_file, url]).stdout
    assert json.loads(answer)["Status"] == "Revoked"
    assert certificate(ctl.machine)["State"] == "revoked"


def test_nothing_is_left(ctl: Acmectl) -> None:
    """No port, no rule, no failed unit."""
    assert ctl.machine.run(["ss", "-Hltn", "sport = :80"]).stdout == ""
    assert ctl.machine.run(["nft", "list", "ruleset"]).stdout == ""
    assert ctl.machine.run(["systemctl", "--failed", "--no-legend"]).stdout == ""
