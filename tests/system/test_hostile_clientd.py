# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd is taken over: what it can get signed, and what it can have installed. docs/threat-model.md."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble
from tests.system.hostile.clientd import CHAINS, FOREIGN

PROGRAM = Path(__file__).parent / "hostile" / "clientd.py"
DROP_IN = "/run/systemd/system/acme-clientd.service.d/hostile.conf"
NAME = "hostile.example.com"


# The account has a next key and an HMAC key, and no permit for either.
SEAL = """
set -e
cd /etc/credstore.encrypted
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 |
    systemd-creds encrypt --name=next_$1 - acmed.next-accounts/$1
echo AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 | systemd-creds encrypt --name=binding_$1 - acmed.bindings/$1
systemctl stop acme-keyd.service
rm -f /run/acme-keyd/permits.json
"""
UNSEAL = "cd /etc/credstore.encrypted; rm acmed.next-accounts/$1 acmed.bindings/$1; systemctl stop acme-keyd.service"
BINDING = "/etc/acmed/acmed.toml.d/zz-hostile.toml"


@pytest.fixture(scope="module")
def hostile(machine: Machine, pebble: Pebble, account: str) -> Iterator[Machine]:
    """The machine with a certificate, and then another program in the place of acme-clientd."""
    machine.run(["acmectl", "order", NAME, "--account", account])
    machine.write(BINDING, f'[account.{account}]\neab-key-id = "hostile"\n')
    machine.run(["sh", "-c", SEAL, "seal", account])
    machine.put(PROGRAM, "/usr/lib/hostile/clientd.py")
    machine.write(DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I /usr/lib/hostile/clientd.py\n")
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-clientd.service"])
    yield machine
    machine.run(["rm", "-r", DROP_IN, "/usr/lib/hostile", "/etc/hostile-plan", BINDING])
    machine.run(["sh", "-c", UNSEAL, "unseal", account])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-clientd.service"])
    machine.run(["acmectl", "forget", NAME])


def renew(machine: Machine, plan: str) -> tuple[int, str]:
    """The status and the words of `acmectl renew` while the hostile program follows a plan."""
    machine.write("/etc/hostile-plan", plan)
    result = machine.run(["acmectl", "renew", "--force", NAME], check=False)
    return result.returncode, result.stdout + result.stderr


def installed(machine: Machine) -> str:
    """Everything that a service could see: links, modes, owners, contents."""
    script = f"ls -lR /var/lib/acme/{NAME}/ && readlink /var/lib/acme/{NAME} && sha256sum /var/lib/acme/{NAME}/*"
    return machine.run(["sh", "-c", script]).stdout


def test_what_it_can_get_signed(hostile: Machine) -> None:
    status, _ = renew(hostile, "sign")
    assert status != 0
    answers = json.loads(hostile.read("/var/lib/private/acme-clientd/answers.json"))
    controls = {name: answer for name, answer in answers.items() if name.startswith("control")}
    assert set(controls.values()) == {"signed"}
    sockets = {name: answer for name, answer in answers.items() if name.endswith(".sock")}
    assert sockets == {"key-permit.sock": "not reached", "priv.sock": "not reached", "verify.sock": "not reached"}
    others = answers.keys() - controls.keys() - sockets.keys()
    assert len(others) >= 27
    assert {name: answers[name] for name in others} == dict.fromkeys(others, "org.acmed.Key.NotPermitted")


def test_refusals_are_in_the_journal_with_their_fields(hostile: Machine) -> None:
    renew(hostile, "sign")
    options = ["--output=json", "--no-pager", "--unit=acme-keyd.service", "MESSAGE_ID=0c7e6a0f4d3f4d4bb1c5a6f2a9e8d712"]
    entries = [json.loads(line) for line in hostile.run(["journalctl", *options]).stdout.splitlines()]
    assert any(entry.get("ACME_OPERATION") == "newOrder" and entry["ACME_RULE"] for entry in entries)
    said = {(Path(entry["CODE_FILE"]).name, entry["CODE_FUNC"]) for entry in entries}
    assert said == {("signing.py", "_refusal")}  # who said it, not what passed it on
    assert any("bank.example.com" in entry.get("ACME_IDENTIFIERS", "") for entry in entries)


def test_no_challenge_is_answered_for_another_key(hostile: Machine) -> None:
    """Its holder would have the name validated for an account of his own."""
    cursor = hostile.run(["journalctl", "--quiet", "--lines=0", "--show-cursor"]).stdout.split(": ", 1)[1].strip()
    status, words = renew(hostile, FOREIGN)
    assert status != 0
    assert "another key than the account's" in words
    assert "org.acmed1.Error.PolicyViolation" in words
    directories = ["/run/acmed/http01", "/run/acmed/alpn01"]
    assert hostile.run(["find", *directories, "-type", "f"]).stdout == ""
    journal = hostile.run(["journalctl", "--quiet", f"--after-cursor={cursor}", "--output=cat", "--no-pager"]).stdout
    assert "another key than the account's" in journal
    assert "Lease on Port" not in journal


@pytest.mark.parametrize("plan", sorted(CHAINS.keys() - {"good"}))
def test_a_bad_chain_changes_nothing(hostile: Machine, plan: str) -> None:
    before = installed(hostile)
    status, words = renew(hostile, plan)
    assert status != 0
    assert installed(hostile) == before
    assert "Traceback" not in words
    assert NAME in words


def test_a_good_chain_is_installed(hostile: Machine) -> None:
    """The control: what the tests above change is what makes the difference."""
    before = installed(hostile)
    status, words = renew(hostile, "good")
    assert status == 0, words
    assert installed(hostile) != before
