# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host from its first timer to its reboot, on a machine of its own, in the order of its life: each test begins where
the one before it ended.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.machine.pebble import Profile
from tests.system import busctl
from tests.system.acmectl import Acmectl
from tests.system.busctl import Caller, certificate_path
from tests.system.conftest import add_account
from tests.system.installed import check_installed
from tests.system.lease import state
from tests.system.timer import run_timer

DAEMONS = ("acmed", "acme-privd", "acme-clientd", "acme-keyd", "acme-verify", "acme-http01")
# What Pebble's certificates of this profile are: due soon enough to wait for, and not before they are looked at.
SHORT = {"short": Profile("Certificates that are due soon", validity=24)}
# A service whose reload fails for as long as a file is there.
VICTIM = """
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/usr/bin/test ! -e /run/victim-fails
"""
CONFIGURATION = """
[service.victim]
units = ["victim.service"]
"""


@pytest.fixture(scope="module")
def own(debs: list[Path]) -> Iterator[Machine]:
    """A machine of this module alone: it is rebooted, and nothing but what a test does happens there."""
    with Machine() as own:
        package.install(own, debs)
        yield own


@pytest.fixture(scope="module")
def own_pebble(own: Machine) -> Iterator[Pebble]:
    """Its CA, and an account there."""
    with Pebble(own) as pebble:
        add_account(own, pebble)
        yield pebble


def is_due(root: Caller, name: str) -> bool:
    return root.certificate(name)["State"] in ("due", "expired")


def test_timer_is_there_and_has_a_next_time(own: Machine) -> None:
    assert own.run(["systemctl", "is-enabled", "acme-renew.timer"]).stdout == "enabled\n"
    assert state(own, "acme-renew.timer") == "active"
    timers = json.loads(own.run(["systemctl", "list-timers", "--output=json", "acme-renew.timer"]).stdout)
    assert timers[0]["activates"] == "acme-renew.service"
    assert timers[0]["next"]


def test_configuration_is_checked(own: Machine, own_pebble: Pebble) -> None:
    ctl, broken = Acmectl(own), "/etc/acmed/certificates.d/broken.example.com.toml"
    assert "No problems." in ctl.text("config", "check")
    own.write(broken, 'names = ["broken.example.com"]\nkey-tpye = "rsa-2048"\n')
    try:
        found = ctl.text("config", "check", code=1)
        assert f"{broken}:2: " in found
        assert "key-tpye" in found
        assert "key-type" in found
        (problem,) = ctl.json("config", "check", code=1)["problems"]
        assert (problem["file"], problem["line"], problem["note"]) == (broken, 2, False)
        assert [path for path, *_ in Caller(own).manager("CheckConfiguration")[0]] == [broken]
        assert ctl.json("status", "broken.example.com", code=1)["state"] == "failing"
        assert ctl.json("account", "list")[0]["name"] == "default"
    finally:
        own.run(["rm", broken])
    assert ctl.json("config", "check") == {"problems": []}
    assert ctl.json("list") == []


def test_run_of_the_timer_with_nothing_due_says_nothing(own: Machine, own_pebble: Pebble) -> None:
    ctl = Acmectl(own)
    assert run_timer(own) == ""
    ctl.run("order", "kept.example.com")
    assert run_timer(own) == ""  # the CA is asked when it wants it to be renewed
    before = ctl.json("status", "kept.example.com")
    assert before["state"] == "valid"
    assert ctl.run("renew", "--due").stdout == ctl.run("renew", "--due").stderr == ""
    assert ctl.json("status", "kept.example.com") == before


def test_timer_delivers_what_is_owed_to_a_service(own: Machine, own_pebble: Pebble) -> None:
    ctl, name = Acmectl(own), "owed.example.com"
    own.write("/run/systemd/system/victim.service", VICTIM)
    own.write("/etc/acmed/acmed.toml.d/victim.toml", CONFIGURATION)
    own.write("/run/victim-fails", "")
    own.run(["systemctl", "daemon-reload"])
    own.run(["systemctl", "start", "victim.service"])
    ctl.run("order", name, "--service", "victim", code=8)
    status = ctl.json("status", name, code=8)
    assert status["state"] == "valid"
    assert [owed["service"] for owed in status["undelivered"]] == ["victim"]
    assert "victim" in ctl.text("status", code=8)
    own.run(["rm", "/run/victim-fails"])
    assert f"{name}: delivered" in run_timer(own)
    status = ctl.json("status", name)
    assert (status["undelivered"], status["lastError"]) == ([], None)
    ctl.run("forget", name)
    own.run(["rm", "/etc/acmed/acmed.toml.d/victim.toml"])


def test_timer_renews_what_is_due_and_nothing_else(own: Machine, own_pebble: Pebble) -> None:
    ctl, root = Acmectl(own), Caller(own)
    own_pebble.profiles = SHORT
    own_pebble.restart()
    add_account(own, own_pebble)
    ctl.run("order", "short.example.com", "also.short.example.com")
    kept, short = root.certificate("kept.example.com"), root.certificate("short.example.com")
    own.wait_until("it to be due", lambda: is_due(root, "short.example.com"), timeout=60)
    assert root.properties(busctl.ROOT, busctl.MANAGER)["NextRenewal"]
    said = run_timer(own)
    assert root.certificate("short.example.com")["SerialNumber"] != short["SerialNumber"]
    check_installed(own, own_pebble, "short.example.com", "short.example.com", "also.short.example.com")
    assert root.certificate("kept.example.com") == kept
    assert "short.example.com" in said
    assert "kept.example.com" not in said


def test_state_survives_a_restart_of_the_machine(own: Machine, own_pebble: Pebble) -> None:
    ctl, root = Acmectl(own), Caller(own)
    ctl.run("order", "blocked-domain.example", "--name", "failing.example.com", code=1)
    ctl.run("order", "gone.example.com")
    ctl.run("revoke", "gone.example.com", "--no-replace")
    own.wait_until("it to be due", lambda: is_due(root, "short.example.com"), timeout=60)
    before, accounts, last = (
        root.objects(),
        ctl.json("account", "list"),
        root.order("last.example.com", "a.example.com"),
    )
    own.wait_until("the job to end", lambda: not root.jobs())
    root.call(certificate_path("last.example.com"), busctl.CERTIFICATE, "Forget")
    own.reboot()
    assert state(own, "acmed.service") == "inactive"
    after = root.objects()
    for values in (before, after):  # whose time may have come meanwhile
        for name in ("State", "Endangered"):
            del values[certificate_path("short.example.com")][busctl.CERTIFICATE][name]
    assert after == before
    states = {one["name"]: one["state"] for one in ctl.json("list")}
    assert states["kept.example.com"] == "valid"
    assert states["short.example.com"] in ("due", "expired")
    assert (states["failing.example.com"], states["gone.example.com"]) == ("failing", "revoked")
    assert ctl.json("account", "list") == accounts
    for name in ("failing.example.com", "gone.example.com"):
        ctl.run("forget", name)
    own_pebble.start()
    add_account(own, own_pebble)
    short = root.certificate("short.example.com")
    own.run(["systemctl", "start", "acme-renew.service"])
    assert root.certificate("short.example.com")["SerialNumber"] != short["SerialNumber"]
    assert root.order("next.example.com", "next.example.com") > last
    own.wait_until("the job to end", lambda: not root.jobs())
    assert root.certificate("next.example.com")["State"] == "valid"


def test_idle_host_has_no_process_of_ours_and_a_call_starts_acmed(own: Machine, own_pebble: Pebble) -> None:
    root = Caller(own)
    own.write("/etc/acmed/certificates.d/idle.example.com.toml", 'names = ["idle.example.com"]\n')
    own.wait_until(
        "all daemons to end",
        lambda: all(state(own, f"{name}.service") == "inactive" for name in DAEMONS),
        timeout=60,
    )
    processes = own.run(["ps", "-eo", "user:20,args"]).stdout
    assert not re.search(r"^acme|acmed|acmectl|acme-", processes, re.MULTILINE), processes
    active = own.run(["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "acme*"]).stdout
    assert {line.split()[0].rpartition(".")[2] for line in active.splitlines()} <= {"socket", "timer"}
    assert root.manager("GetCertificate", "s", "idle.example.com") == [certificate_path("idle.example.com")]
    assert state(own, "acmed.service") == "active"
