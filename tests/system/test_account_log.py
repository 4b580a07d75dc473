# SPDX-License-Identifier: LGPL-2.1-or-later
"""What account keys have signed, as acmectl shows it from the journal."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.machine import Machine
from tests.system.acmectl import Acmectl
from tests.system.people import PLAIN, people

NAME = "log.example.com"
UNIT = "acme-keyd.service"
REFUSED = """
import asyncio
from acmed import paths, varlink

client = varlink.Client(varlink.load("org.acmed.Key"), paths.KEY_SOCKET)
try:
    asyncio.run(client.call("Sign", timeout=60, account="default", url="https://evil.example", nonce="bm8", payload=""))
except varlink.VarlinkError as error:
    print(error.name)
"""
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
    assert "NotPermitted" in machine.run(["python3", "-c", REFUSED]).stdout
    with people(machine):
        yield acmectl
    acmectl.run("forget", NAME)


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
    refused = [one for one in entries(acmectl, account) if not one["signed"]][-1]
    assert refused["url"] == "https://evil.example"
    assert refused["peer"]["uid"] == 0
    assert refused["signer"]["unit"] == UNIT


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
