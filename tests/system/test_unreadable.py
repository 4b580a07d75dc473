# SPDX-License-Identifier: LGPL-2.1-or-later
"""What would end all renewals without a word: a configuration that acmed's user cannot read, credentials that systemd
cannot open, and units that there are none of. Root sees all of them as they are, so it has to be told.
"""

import json
from collections.abc import Iterator

import pytest

from tests.machine import Machine
from tests.system.acmectl import Acmectl

NAME = "unreadable.example.com"
ETC = "/etc/acmed"
CERTIFICATE = f"{ETC}/certificates.d/{NAME}.toml"
SERVICE = f"{ETC}/acmed.toml.d/unreadable.toml"
SEALED = "/etc/credstore.encrypted"


@pytest.fixture(scope="module")
def ctl(machine: Machine, account: str) -> Iterator[Acmectl]:
    """With a certificate."""
    ctl = Acmectl(machine)
    ctl.run("order", NAME, "--account", account)
    yield ctl
    ctl.run("forget", NAME)


def problems(ctl: Acmectl, code: int) -> list[tuple[str, str, str, bool]]:
    """What `acmectl config check` finds: file, message, hint, and whether it is a note."""
    found = ctl.json("config", "check", code=code)["problems"]
    return [(one["file"], one["message"], one["hint"] or "", one["note"]) for one in found]


def check_told(machine: Machine, ctl: Acmectl, path: str, words: str) -> None:
    """That nobody can take it for a host without certificates."""
    due = ctl.run("renew", "--due", code=1)
    assert f"{path}: {words}" in due.stderr
    assert machine.run(["systemctl", "start", "acme-renew.service"], check=False).returncode != 0
    machine.run(["systemctl", "reset-failed", "acme-renew.service"])
    states = {one["name"]: one["state"] for one in ctl.json("list")}
    assert states[NAME] == "failing"
    assert f"{path}: {words}" in ctl.text("status", NAME, code=1)
    assert f"{path}: {words}" in ctl.text("status", code=1)


@pytest.mark.parametrize("path", [ETC, f"{ETC}/certificates.d"])
def test_closed_directory(machine: Machine, ctl: Acmectl, path: str) -> None:
    machine.run(["chmod", "700", path])
    try:
        message = "is closed to acmed's daemons, which have users of their own: nothing in it counts"
        hint = f"chmod a+rx {path}; no secret belongs in it"
        assert problems(ctl, code=1) == [(path, message, hint, False)]
        check_told(machine, ctl, path, "cannot be read: Permission denied")
        machine.run(["sh", "-c", hint.partition(";")[0]])
    finally:
        machine.run(["chmod", "755", path])
    assert problems(ctl, code=0) == []
    due = ctl.run("renew", "--due")
    assert (due.stdout, due.stderr) == ("", "")
    assert ctl.json("status", NAME)["state"] == "valid"


def test_configuration_that_is_gone(machine: Machine, ctl: Acmectl) -> None:
    machine.run(["mv", ETC, f"{ETC}.aside"])
    try:
        words = "is not there, so no account and no certificate is configured"
        assert (ETC, words) in [problem[:2] for problem in problems(ctl, code=1)]
        check_told(machine, ctl, ETC, words)
    finally:
        machine.run(["mv", "-T", f"{ETC}.aside", ETC])
    assert ctl.run("renew", "--due").stderr == ""
    assert ctl.json("status", NAME)["state"] == "valid"


def test_unit_that_is_not_there(machine: Machine, ctl: Acmectl) -> None:
    before = machine.read(CERTIFICATE)
    machine.write(SERVICE, '[service.unreadable]\nunits = ["acme-privd.service", "acme-pirvd.service"]\n')
    try:
        assert problems(ctl, code=0) == [], "no certificate uses it"
        machine.write(CERTIFICATE, f'{before}services = ["unreadable"]\n')
        message = f"there is no unit 'acme-pirvd.service' here, which is to take up new certificates: {NAME}"
        hint = "did you mean 'acme-privd.service'?"
        assert problems(ctl, code=0) == [(SERVICE, message, hint, True)]
        assert f"{SERVICE}:2: note: {message}" in ctl.text("config", "check")
    finally:
        machine.write(CERTIFICATE, before)
        machine.run(["rm", SERVICE])


def test_credentials_that_cannot_be_opened(machine: Machine, ctl: Acmectl) -> None:
    """They are tried with the host's own key, as PID 1 does."""
    assert problems(ctl, code=0) == []
    damaged, renamed = f"{SEALED}/acmed.accounts/damaged", f"{SEALED}/acmed.dns/renamed"
    seal = "echo precious | systemd-creds encrypt"
    machine.run(["sh", "-c", f"{seal} --name=tsig_other - {renamed}"])
    machine.run(["sh", "-c", f"{seal} --name=account_damaged - - | base64 -d | head -c -1 | base64 >{damaged}"])
    try:
        found = {file: (message, hint) for file, message, hint, _ in problems(ctl, code=1)}
        assert set(found) == {damaged, renamed}
        message, _ = found[damaged]
        assert message.startswith("cannot be opened, and so it keeps acme-keyd.service from starting: ")
        message, hint = found[renamed]
        assert message.startswith(
            "is sealed under the name tsig_other, where it has to be tsig_renamed, and so it keeps"
        )
        assert "precious" not in json.dumps(found)
        machine.run(["sh", "-c", hint.splitlines()[-1]])
        machine.run(["rm", damaged])
        assert problems(ctl, code=0) == []
        opened = machine.run(["systemd-creds", "decrypt", "--name=tsig_renamed", renamed, "-"]).stdout
        assert opened == "precious\n"
    finally:
        machine.run(["rm", "-f", damaged, renamed])
