# SPDX-License-Identifier: LGPL-2.1-or-later
"""What account keys have signed, as acmectl shows it from the journal."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.machine import Machine
from tests.machine.pebble import Pebble
from tests.system.acmectl import Acmectl
from tests.system.people import PLAIN, people
from tests.system.privcall import ask as call_daemon

NAME = "log.example.com"
UNIT = "acme-keyd.service"
# Root asks for a signature: who is in no unit, and says nothing.
ASKS = """
import asyncio, sys
from acmed import paths, varlink

client = varlink.Client(varlink.load("org.acmed.Key"), paths.KEY_SOCKET)
try:
    asked = dict(zip(("account", "url"), sys.argv[1:]))
    asyncio.run(client.call("Sign", timeout=60, nonce="bm8", payload="", **asked))
    print("signed")
except varlink.VarlinkError as error:
    print(error.name)
"""
EVIL = "https://evil.example"
DROPIN = "/etc/acmed/acmed.toml.d/account-log.toml"
FORGERIES = 20
FORGE = f"""
from systemd import journal
for number in range({FORGERIES}):
    journal.send("Signed", MESSAGE_ID="5f2a5d0ab2b24c2d8f1c7c9e0f6b2a11", ACME_ACCOUNT="default",
                 ACME_OPERATION="forged\\nline", ACME_RULE="none", ACME_PEER_UID="0", ACME_PEER_PID="1",
                 SYSLOG_IDENTIFIER="acme-keyd", _SYSTEMD_UNIT="{UNIT}")
"""


@pytest.fixture(scope="module")
def acmectl(machine: Machine, account: str) -> Iterator[Acmectl]:
    """A certificate was ordered, and a signature refused."""
    acmectl = Acmectl(machine)
    acmectl.run("order", NAME, "--account", account)
    assert "NotPermitted" in ask(machine, "default", EVIL)
    with people(machine):
        yield acmectl
    acmectl.run("forget", NAME)


def ask(machine: Machine, *asked: str) -> str:
    return machine.run(["python3", "-c", ASKS, *asked]).stdout


@pytest.fixture
def configure(machine: Machine) -> Iterator[Callable[[str], None]]:
    """Has acme-keyd start with a file of configuration more."""

    def inner(text: str) -> None:
        machine.write(DROPIN, text)
        machine.run(["systemctl", "stop", UNIT])

    yield inner
    machine.run(["rm", "-f", DROPIN])
    machine.run(["systemctl", "stop", UNIT])


def entries(acmectl: Acmectl, *options: str) -> list[dict[str, Any]]:
    acmectl.machine.run(["journalctl", "--sync"])
    found: list[dict[str, Any]] = acmectl.json("account", "log", *options)
    return found


def test_an_order(acmectl: Acmectl, account: str) -> None:
    found = entries(acmectl, account, "--since", "1h")
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert {one["account"] for one in found} == {account}
    by_operation = {one["operation"]: one for one in found if one["signed"]}
    order, finalize = by_operation["newOrder"], by_operation["finalize"]
    assert order["identifiers"] == [NAME]
    assert order["rule"].startswith("permit:order:")
    assert len(finalize["csrSHA256"]) == 64
    assert (order["signer"]["unit"], order["peer"]["unit"]) == (UNIT, "acme-clientd.service")
    assert order["peer"]["uid"] not in (0, None)
    text = acmectl.text("account", "log", "--lines", "1000")
    (line,) = [line for line in text.splitlines() if " newOrder " in line and NAME in line]
    assert "acme-clientd.service" in line


def test_a_refusal(acmectl: Acmectl, account: str) -> None:
    refused = [one for one in entries(acmectl, account) if one["result"] == "refused"][-1]
    assert refused["url"] == EVIL
    assert refused["peer"]["uid"] == 0
    assert refused["signer"]["unit"] == UNIT


@pytest.mark.parametrize("level", ["notice", "emerg"])
def test_the_level_of_the_log_is_not_that_of_the_record(
    acmectl: Acmectl, account: str, configure: Callable[[str], None], level: str
) -> None:
    configure(f'[log-level]\nacme-keyd = "{level}"\n')
    before = len(entries(acmectl, account, "--lines", "10000"))
    allowed = next(one["url"] for one in entries(acmectl, account) if one["operation"] == "newOrder")
    assert ask(acmectl.machine, account, allowed) == "signed\n"
    assert "NotPermitted" in ask(acmectl.machine, account, EVIL)
    signed, refused = entries(acmectl, account, "--lines", "10000")[before:]
    assert (signed["result"], signed["operation"], signed["url"]) == ("signed", "POST-as-GET", allowed)
    assert (refused["result"], refused["url"]) == ("refused", EVIL)
    assert [one["peer"]["unit"] for one in (signed, refused)] == [None, None]


def test_a_key_that_cannot_be_used(acmectl: Acmectl, pebble: Pebble, configure: Callable[[str], None]) -> None:
    """It says what it is: no defect, and no acme-clientd that was taken over."""
    origin = pebble.directory.removesuffix("/dir")
    account = f'[account.lost]\ndirectory = "{pebble.directory}"\nca-file = "{pebble.ca_file}"\n'
    configure(f'{account}uri = "{origin}/my-account/1"\nkey = "file:/etc/acmed/lost.pem"\n')
    assert "KeyUnavailable" in ask(acmectl.machine, "lost", f"{origin}/order/1")
    (entry,) = entries(acmectl, "lost")
    assert (entry["result"], entry["signed"], entry["rule"]) == ("unavailable", False, "origin")
    assert "/etc/acmed/lost.pem" in entry["reason"]
    said = acmectl.machine.run(["journalctl", "--catalog", f"--unit={UNIT}", "ACME_ACCOUNT=lost"]).stdout
    assert "The key of account lost could not be used" in said
    assert "taken" not in said and "its own master" not in said


def test_others(acmectl: Acmectl) -> None:
    assert entries(acmectl, "nobody") == []
    assert entries(acmectl, "--since", "2999-01-01") == []
    assert len(entries(acmectl, "--lines", "2")) == 2


def test_what_a_user_writes_is_told_apart_and_pushes_nothing_out(acmectl: Acmectl) -> None:
    before = entries(acmectl, "--lines", "3")
    acmectl.machine.run(["python3", "-c", FORGE], user=PLAIN)
    found = entries(acmectl, "--lines", "3")
    own = [one for one in found if one["signer"]["unit"] == UNIT]
    assert own == before
    forged = [one for one in found if one not in own]
    assert [one["signer"]["uid"] for one in forged] == [1503] * 3
    assert all(one["peer"]["unit"] is None for one in forged)
    text = acmectl.text("account", "log", "--lines", "3")
    assert f"user {PLAIN}" in text
    assert len(text.splitlines()) == 1 + 6


def test_who_may_not_read_the_journal(acmectl: Acmectl) -> None:
    said = Acmectl(acmectl.machine, PLAIN).error("account", "log", code=3)
    assert "systemd-journal" in said


@pytest.fixture
def sparing(machine: Machine) -> Iterator[None]:
    """journald keeps few entries of a unit's in half a minute: as many are soon there as its own limit has."""
    machine.write("/run/systemd/journald.conf.d/z-few.conf", "[Journal]\nRateLimitIntervalSec=30s\nRateLimitBurst=10\n")
    machine.run(["systemctl", "restart", "systemd-journald.service"])
    yield
    machine.run(["rm", "-r", "/run/systemd/journald.conf.d"])
    machine.run(["systemctl", "restart", "systemd-journald.service"])


@pytest.mark.usefixtures("sparing")
def test_who_has_much_signed_hides_nothing_behind_it(acmectl: Acmectl, account: str) -> None:
    acmectl.machine.run(["systemctl", "stop", UNIT])
    earlier = entries(acmectl, account, "--lines", "10000")
    allowed = next(one["url"] for one in earlier if one["operation"] == "newOrder")
    wanted = {"account": account, "url": allowed, "nonce": "bm8", "payload": ""}
    for _ in range(4):
        answers = call_daemon(acmectl.machine, "org.acmed.Key", "/run/acmed/key.sock", [("Sign", wanted)] * 100)
        assert all("signature" in answer for answer in answers)
    assert len(entries(acmectl, account, "--lines", "10000")) == len(earlier) + 400
