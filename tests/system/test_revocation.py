# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocation at a real CA: why, with whose key, of what, and what comes in its place."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from acmed.reasons import REASONS
from tests.machine import Machine, Pebble
from tests.system import busctl
from tests.system.acmectl import Acmectl
from tests.system.authority import account as account_at
from tests.system.authority import ca_status, forget
from tests.system.busctl import BusError, Caller, certificate_path
from tests.system.faults.faults import Faults, faults
from tests.system.faults.table import ORDER, busy, page
from tests.system.people import PLAIN, WEBMASTER, people
from tests.system.polkit import Polkit
from tests.system.timer import run_timer

PREFIX = "revocation-"
REVOCATION = "/revoke-cert"
BEHIND = "revocation-behind"
MINUTE = 60 * 1_000_000  # microseconds
ARCHIVE = "/var/lib/acme-privd/archive/certificates"
LOST = "revocation-lost"
"""An account of its own at the same CA."""
OF_LOST = f"/etc/acmed/acmed.toml.d/account-{LOST}.toml /etc/acmed/ca/{LOST}.pem"
SEALED = f"/etc/credstore.encrypted/acmed.accounts/{LOST}"

# A service that counts how often it was told of a new certificate.
VICTIM = """
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reloaded >>/run/revocation-reloads'
"""
SERVICE = """
[service.revocation]
units = ["revocation-victim.service"]
"""
RULE = """
polkit.addRule(function(action, subject) {
    if (action.id == "org.acmed1.revoke" && subject.isInGroup("webmasters") &&
        action.lookup("reason") == "superseded")
        return polkit.Result.YES;
});
"""
# Somebody may revoke what has no name here.
RULE_FOR_FILES = """
polkit.addRule(function(action, subject) {
    if (action.id == "org.acmed1.revoke" && subject.isInGroup("webmasters") &&
        /^[0-9a-f]{64}$/.test(action.lookup("certificate")))
        return polkit.Result.YES;
});
"""
MAKE_CSR = """
set -eu
mkdir -p /run/revocation
cd /run/revocation
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj / \\
    -addext "subjectAltName=DNS:$1"
"""


@dataclass
class Rig:
    machine: Machine
    pebble: Pebble

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def order(self, name: str, *options: str) -> dict[str, Any]:
        """All properties of the certificate."""
        self.ctl.run("order", name, *options)
        return Caller(self.machine).certificate(name)

    def configure(self, name: str, **keys: object) -> None:
        lines = [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in {"names": [name], **keys}.items()]
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", "\n".join(lines) + "\n")

    def state(self, name: str) -> str:
        return str(Caller(self.machine).certificate(name)["State"])

    def replaced(self, name: str, serial: str) -> dict[str, Any]:
        """The certificate that came in the place of that one, once its job has ended."""

        def there() -> bool:
            now = Caller(self.machine).certificate(name)
            state, job, new = now["State"], now["Job"], now["SerialNumber"] != serial
            return new and (state, job) == ("valid", [0, "/"])

        self.machine.wait_until("the replacement", there)
        return Caller(self.machine).certificate(name)

    def reason(self, serial: str) -> int | None:
        """Why the CA says that it is revoked; None where it is not."""
        told = ca_status(self.machine, self.pebble, serial)
        return int(str(told["Reason"] or 0)) if told["Status"] == "Revoked" else None

    def public_key(self, path: str) -> str:
        return self.machine.run(["openssl", "pkey", "-pubout", "-in", path]).stdout

    def installed_key(self, name: str) -> str:
        return self.public_key(f"/var/lib/acme/{name}/privkey.pem")

    def archived_keys(self, name: str) -> set[str]:
        paths = self.machine.run(["sh", "-c", f"ls {ARCHIVE}/{name}/*/privkey.pem"]).stdout.split()
        return {self.public_key(path) for path in paths}


@pytest.fixture
def rig(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    """No certificate of a test is left for the next."""
    yield Rig(machine, pebble)
    root = Caller(machine)
    machine.wait_until("the jobs to end", lambda: not any(name.startswith(PREFIX) for name in root.jobs().values()))
    for name, *_ in root.manager("ListCertificates")[0]:
        if name.startswith(PREFIX):
            root.call(certificate_path(name), busctl.CERTIFICATE, "Forget")


@pytest.fixture
def lost(machine: Machine, pebble: Pebble, account: str) -> Iterator[str]:
    """An account whose key a test may lose."""
    options = ["--directory", pebble.directory, "--ca-file", pebble.ca_file, "--contact", "lost@example.com"]
    machine.run(["acmectl", "account", "add", LOST, *options, "--agree-tos"])
    yield LOST
    machine.run(["sh", "-c", f"rm -f {SEALED} {OF_LOST}"])
    machine.run(["systemctl", "stop", "acme-keyd.service"])


# Why.


@pytest.mark.parametrize(("number", "word"), REASONS.items())
def test_reasons_that_are_accepted(rig: Rig, number: int, word: str) -> None:
    name = f"{PREFIX}reason-{number}.example.com"
    serial = rig.order(name)["SerialNumber"]
    given = word if number % 2 else str(number)
    assert f"{name}: revoked" in rig.ctl.text("revoke", name, "--reason", given, "--no-replace")
    assert rig.reason(serial) == number
    assert rig.state(name) == "revoked"


def test_reasons_that_are_refused(rig: Rig) -> None:
    name = f"{PREFIX}refused.example.com"
    serial = rig.order(name)["SerialNumber"]
    for given in ("2", "6", "7", "8", "9", "10", "11", "-1", "cACompromise", "certificateHold", "boredom"):
        said = rig.ctl.error("revoke", name, f"--reason={given}", code=2)
        assert f"'{given}' is not a reason that a CA accepts; these are: unspecified (0), keyCompromise (1)" in said
    for number in ("2", "6", "9", "11"):
        with pytest.raises(BusError) as refused:
            Caller(rig.machine).call(certificate_path(name), busctl.CERTIFICATE, "Revoke", "ua{sv}", number, "0")
        assert refused.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
        assert f"There is no reason {number} that a CA accepts" in refused.value.message
    assert rig.reason(serial) is None
    assert rig.state(name) == "valid"


def test_reason_is_what_polkit_judges_by(rig: Rig) -> None:
    name = f"{PREFIX}polkit.example.com"
    serial = rig.order(name)["SerialNumber"]
    plain, webmaster = Acmectl(rig.machine, PLAIN), Acmectl(rig.machine, WEBMASTER)
    polkit = Polkit(rig.machine)
    with people(rig.machine), polkit.listening(), polkit.rule(RULE), polkit.questions() as questions:
        assert "org.acmed1.revoke" in plain.error("revoke", name, code=3)
        assert "org.acmed1.revoke" in webmaster.error("revoke", name, "--reason", "keyCompromise", code=3)
        assert rig.reason(serial) is None
        webmaster.run("revoke", name, "--reason", "superseded", "--no-replace")
    assert [(question.user, question.action) for question in questions][:1] == [(PLAIN, "org.acmed1.revoke")]
    assert {question.details["certificate"] for question in questions} == {name}
    assert {question.details["reason"] for question in questions if question.user == PLAIN} == {"unspecified"}
    assert rig.reason(serial) == 4


# With whose key.


def test_by_the_key_of_the_certificate(rig: Rig) -> None:
    name = f"{PREFIX}own-key.example.com"
    serial = rig.order(name)["SerialNumber"]
    rig.ctl.run("revoke", name, "--certificate-key", "--reason", "keyCompromise", "--no-replace")
    assert rig.reason(serial) == 1
    assert rig.state(name) == "revoked"


def test_by_the_key_of_the_certificate_when_that_of_the_account_was_lost(rig: Rig, lost: str) -> None:
    name = f"{PREFIX}lost.example.com"
    serial = rig.order(name, "--account", lost)["SerialNumber"]
    rig.machine.run(["rm", SEALED])
    rig.machine.run(["systemctl", "stop", "acme-keyd.service"])
    said = rig.ctl.error("revoke", name, code=1)
    assert "org.acmed1.Error.KeyUnavailable" in said
    assert f"account '{lost}'" in said
    assert rig.reason(serial) is None
    assert rig.state(name) == "valid"
    rig.ctl.run("revoke", name, "--certificate-key", "--no-replace")
    assert rig.reason(serial) == 0
    assert rig.state(name) == "revoked"


def test_by_the_key_of_the_certificate_when_the_account_is_not_configured_any_more(rig: Rig, lost: str) -> None:
    """Another account at the same CA says how that is reached."""
    name = f"{PREFIX}gone.example.com"
    serial = rig.order(name, "--account", lost)["SerialNumber"]
    rig.machine.run(["sh", "-c", f"rm -f {SEALED} {OF_LOST}"])
    rig.machine.run(["systemctl", "stop", "acme-keyd.service"])
    assert f"There is no account '{lost}'" in rig.ctl.error("revoke", name, code=4)
    result = rig.ctl.run("revoke", name, "--certificate-key")
    assert "not replaced as long as its configuration is broken" in result.stdout + result.stderr
    assert rig.reason(serial) == 0
    assert rig.state(name) == "revoked"


# Of what.


def test_a_certificate_that_is_not_managed(rig: Rig) -> None:
    name, managed = f"{PREFIX}file.example.com", f"{PREFIX}beside.example.com"
    serial = rig.order(name)["SerialNumber"]
    rig.order(managed)
    der, pem = "/run/revocation-file.der", f"/var/lib/acme/{name}/cert.pem"
    rig.ctl.run("forget", name)
    rig.machine.run(["openssl", "x509", "-in", pem, "-outform", "DER", "-out", der])
    rig.ctl.run("revoke", "--file", pem, "--reason", "cessationOfOperation")
    assert rig.reason(serial) == 5
    rig.ctl.run("revoke", "--file", der)  # again is no failure, in the other form
    assert rig.reason(serial) == 5
    assert rig.state(managed) == "valid"
    assert name not in rig.ctl.text("list")
    said = rig.ctl.error("revoke", "--file", "/etc/hostname", code=1)
    assert "/etc/hostname: " in said


def test_a_certificate_of_another_account_is_not_revoked_by_ours(rig: Rig, lost: str) -> None:
    """It has no authorization for the name."""
    name = f"{PREFIX}theirs.example.com"
    serial = rig.order(name, "--account", lost)["SerialNumber"]
    rig.ctl.run("forget", name)
    pem = f"/var/lib/acme/{name}/cert.pem"
    said = rig.ctl.error("revoke", "--file", pem, "--account", "default", code=1)
    assert "org.acmed1.AcmeError.unauthorized" in said
    assert rig.reason(serial) is None
    rig.ctl.run("revoke", "--file", pem, "--account", lost)
    assert rig.reason(serial) == 0


def test_file_of_a_managed_certificate_is_that_certificate(rig: Rig, lost: str) -> None:
    """Revoked as the account that it came from, in the archive, and replaced; not so the other one for its name."""
    names = [f"{PREFIX}twin.example.com", f"{PREFIX}other.example.com"]
    rsa, ecdsa = f"{PREFIX}twin.rsa", f"{PREFIX}twin.ecdsa"
    rig.ctl.run("order", *names, "--name", rsa, "--key-type", "rsa-2048", "--account", lost)
    rig.ctl.run("order", *names, "--name", ecdsa, "--account", lost)
    before, twin = (Caller(rig.machine).certificate(name) for name in (rsa, ecdsa))
    key, pem = rig.installed_key(rsa), f"/var/lib/acme/{rsa}/cert.pem"
    rig.ctl.run("revoke", "--file", pem, "--reason", "keyCompromise")
    after = rig.replaced(rsa, before["SerialNumber"])
    assert rig.reason(before["SerialNumber"]) == 1
    assert rig.reason(after["SerialNumber"]) is None
    assert rig.installed_key(rsa) != key
    assert rig.archived_keys(rsa) == {key}
    assert Caller(rig.machine).certificate(ecdsa) == twin
    assert rig.reason(twin["SerialNumber"]) is None
    rig.ctl.run("revoke", "--file", pem, "--no-replace")
    assert rig.reason(after["SerialNumber"]) == 0
    assert run_timer(rig.machine) == ""
    assert rig.state(rsa) == "revoked"
    for name in (rsa, ecdsa):
        rig.ctl.run("forget", name)


def test_file_of_a_managed_certificate_is_asked_for_as_that_certificate(rig: Rig) -> None:
    """Whoever may revoke what is not managed has nothing replaced by that."""
    name = f"{PREFIX}asked.example.com"
    serial = rig.order(name)["SerialNumber"]
    rig.machine.run(["cp", f"/var/lib/acme/{name}/cert.pem", "/run/revocation-asked.pem"])
    polkit = Polkit(rig.machine)
    with people(rig.machine), polkit.listening(), polkit.rule(RULE_FOR_FILES), polkit.questions() as questions:
        said = Acmectl(rig.machine, WEBMASTER).error("revoke", "--file", "/run/revocation-asked.pem", code=3)
        assert "org.acmed1.revoke" in said
    assert {question.details["certificate"] for question in questions} == {name}
    assert rig.reason(serial) is None
    rig.machine.run(["rm", "/run/revocation-asked.pem"])


@pytest.mark.parametrize("option", [(), ("--certificate-key",)], ids=["account", "certificate-key"])
def test_revoked_already_is_no_failure(rig: Rig, option: tuple[str, ...]) -> None:
    """Somebody did it while acmed did not manage it: acmed takes notice, and replaces it as ever."""
    name = f"{PREFIX}twice.example.com"
    before = rig.order(name)
    rig.ctl.run("forget", name)
    rig.ctl.run("revoke", "--file", f"/var/lib/acme/{name}/cert.pem", "--reason", "superseded")
    rig.configure(name)
    assert rig.state(name) == "valid"
    assert rig.reason(before["SerialNumber"]) == 4
    assert f"{name}: revoked" in rig.ctl.text("revoke", name, *option)
    after = rig.replaced(name, before["SerialNumber"])
    assert rig.reason(before["SerialNumber"]) == 4
    assert rig.reason(after["SerialNumber"]) is None


# What comes in its place.


def test_replaced_at_once_with_a_new_key_that_stays(rig: Rig) -> None:
    """Also with reuse-key: the key that was revoked is in the archive, and is never used again."""
    machine, name = rig.machine, f"{PREFIX}replaced.example.com"
    machine.write("/run/systemd/system/revocation-victim.service", VICTIM)
    machine.write("/etc/acmed/acmed.toml.d/revocation.toml", SERVICE)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "start", "revocation-victim.service"])
    try:
        rig.configure(name, reuse_key=True, services=["revocation"])
        rig.ctl.run("order", "--name", name)
        rig.ctl.run("renew", name, "--force")
        first, key = Caller(machine).certificate(name), rig.installed_key(name)
        machine.write("/run/revocation-reloads", "")
        rig.ctl.run("revoke", name, "--reason", "keyCompromise")
        second = rig.replaced(name, first["SerialNumber"])
        assert rig.reason(first["SerialNumber"]) == 1
        assert rig.reason(second["SerialNumber"]) is None
        assert machine.read("/run/revocation-reloads") == "reloaded\n"
        new_key = rig.installed_key(name)
        assert new_key != key
        # All sets that had it, and nothing else of what acmed would take a key from.
        assert rig.archived_keys(name) == {key}
        assert machine.run(["stat", "-c", "%a %U", f"{ARCHIVE}/{name}"]).stdout == "700 root\n"
        for _ in range(2):
            rig.ctl.run("renew", name, "--force")
            assert rig.installed_key(name) == new_key
        third = Caller(machine).certificate(name)
        rig.ctl.run("revoke", name)
        rig.replaced(name, third["SerialNumber"])
        assert rig.installed_key(name) not in (key, new_key)
        assert rig.archived_keys(name) == {key, new_key}
    finally:
        machine.run(["systemctl", "stop", "revocation-victim.service"])
        machine.run(["sh", "-c", "rm /run/systemd/system/revocation-victim.service /run/revocation-reloads"])
        machine.run(["rm", "/etc/acmed/acmed.toml.d/revocation.toml"])
        machine.run(["systemctl", "daemon-reload"])


@pytest.fixture
def behind(machine: Machine, pebble: Pebble, account: str) -> Iterator[Faults]:
    """A proxy in front of the CA, and an account behind it."""
    with faults(machine) as proxy, account_at(machine, BEHIND, Faults.directory):
        yield proxy
        proxy.plan()
        forget(machine, f"{PREFIX}behind-")


def test_replaced_at_once_whatever_failed_before(rig: Rig, behind: Faults) -> None:
    name = f"{PREFIX}behind-pause.example.com"
    before, key = rig.order(name, "--account", BEHIND), rig.installed_key(name)
    rig.configure(name, account=BEHIND, key_type="ecdsa-p384")  # so that it is due
    behind.plan(page(ORDER))
    for _ in range(3):
        rig.ctl.run("renew", name, "--force", code=1)
    behind.plan()
    failed = Caller(rig.machine).certificate(name)
    assert failed["Failures"] == 3
    assert failed["RetryAt"] - failed["LastErrorTimestamp"] == 100 * MINUTE
    rig.ctl.run("revoke", name)
    after = rig.replaced(name, before["SerialNumber"])
    assert (after["Failures"], after["RetryAt"]) == (0, 0)
    assert rig.reason(before["SerialNumber"]) == 0
    assert rig.installed_key(name) != key


def test_revocation_that_fails_is_nowhere_called_done_or_tried_again(rig: Rig, behind: Faults) -> None:
    name = f"{PREFIX}behind-failed.example.com"
    serial = rig.order(name, "--account", BEHIND)["SerialNumber"]
    behind.plan(page(REVOCATION))
    said = rig.ctl.error("revoke", name, "--reason", "keyCompromise", code=1)
    behind.plan()
    shown = rig.ctl.text("status", name, code=1)
    for told in (said, shown):
        assert "Take it as NOT revoked. acmed does not try that again by itself" in told
        assert "tries again" not in told
    assert f"Certificate: {name}" in rig.ctl.text("status", code=1)
    run_timer(rig.machine)
    assert rig.reason(serial) is None
    assert rig.state(name) == "valid"
    assert f"{name}: revoked; another one is " in rig.ctl.text("revoke", name, "--reason", "keyCompromise")
    rig.replaced(name, serial)
    assert rig.reason(serial) == 1
    assert "revoked" not in rig.ctl.text("status", name)


def test_time_that_the_ca_asked_for_is_kept_and_said(rig: Rig, behind: Faults) -> None:
    name = f"{PREFIX}behind-busy.example.com"
    serial = rig.order(name, "--account", BEHIND)["SerialNumber"]
    rig.configure(name, account=BEHIND, key_type="ecdsa-p384")  # so that it is due
    behind.plan(busy(ORDER, 429, "7200"))
    rig.ctl.run("renew", name, "--force", code=7)
    behind.plan()
    behind.forget()
    result = rig.ctl.run("revoke", name)
    assert "it is not replaced before 20" in result.stdout + result.stderr
    assert "too many of you" in result.stdout + result.stderr
    assert rig.reason(serial) == 0
    run_timer(rig.machine)
    assert ORDER not in [request["path"] for request in behind.requests()]
    values = Caller(rig.machine).certificate(name)
    assert (values["State"], values["SerialNumber"]) == ("revoked", serial)
    assert values["RetryAt"] - values["LastErrorTimestamp"] > 119 * MINUTE
    rig.ctl.run("renew", name)  # a person need not wait
    assert rig.replaced(name, serial)["RetryAt"] == 0


def test_nothing_is_ordered_where_that_was_said(rig: Rig) -> None:
    name = f"{PREFIX}no-replace.example.com"
    first, key = rig.order(name), rig.installed_key(name)
    rig.ctl.run("revoke", name, "--no-replace")
    assert run_timer(rig.machine) == ""
    assert Caller(rig.machine).jobs() == {}
    # The last thing that is known of it: whoever wants no other one sees that it is not usable.
    assert rig.ctl.json("status", name, code=1)["state"] == "revoked"
    assert "revoked" in rig.ctl.text("status", name, code=1)
    assert Caller(rig.machine).certificate(name)["SerialNumber"] == first["SerialNumber"]
    assert key in rig.archived_keys(name)
    rig.ctl.run("renew", name)
    after = rig.replaced(name, first["SerialNumber"])
    assert rig.installed_key(name) != key
    assert rig.reason(after["SerialNumber"]) is None
    assert rig.ctl.json("status", name)["state"] == "valid"


@pytest.mark.parametrize("kind", ["csr", "key-file"])
def test_what_has_a_key_from_elsewhere_is_replaced_when_there_is_another(rig: Rig, kind: str) -> None:
    """A provided one by the timer; another CSR has to be given."""
    machine, name = rig.machine, f"{PREFIX}{kind}.example.com"
    machine.run(["sh", "-c", MAKE_CSR, "sh", name])
    if kind == "csr":
        rig.ctl.run("order", "--name", name, "--csr", "/run/revocation/own.csr")
    else:
        machine.run(["install", "-D", "-m", "600", "/run/revocation/own.key", "/etc/ssl/revocation.key"])
        rig.configure(name, key_file="/etc/ssl/revocation.key")
        rig.ctl.run("order", "--name", name)
    serial = Caller(machine).certificate(name)["SerialNumber"]
    result = rig.ctl.run("revoke", name)
    why = "its CSR was made elsewhere" if kind == "csr" else "its key is provided"
    assert f"not replaced: {why}" in result.stdout + result.stderr
    assert rig.reason(serial) == 0
    assert Caller(machine).jobs() == {}
    assert run_timer(machine) == ""
    assert rig.state(name) == "revoked"
    assert Caller(machine).certificate(name)["SerialNumber"] == serial
    machine.run(["sh", "-c", MAKE_CSR, "sh", name])
    if kind == "csr":
        rig.ctl.run("order", "--name", name, "--csr", "/run/revocation/own.csr")
    else:
        machine.run(["touch", "/etc/ssl/revocation.key"])
        assert run_timer(machine) == "", "the revoked key, written again"
        machine.run(["install", "-m", "600", "/run/revocation/own.key", "/etc/ssl/revocation.key"])
        run_timer(machine)
        rig.replaced(name, serial)
        assert rig.installed_key(name) == rig.public_key("/run/revocation/own.key")
    assert rig.state(name) == "valid"
    machine.run(["rm", "-rf", "/run/revocation", "/etc/ssl/revocation.key"])


@pytest.mark.parametrize("reason", ["superseded", "keyCompromise"])
def test_older_certificate_whose_key_the_installed_one_has(rig: Rig, reason: str) -> None:
    """A compromised key is not used for another day; for other reasons what is installed is left alone."""
    name, older = f"{PREFIX}older-{reason.lower()}.example.com", "/run/revocation-older.pem"
    rig.configure(name, reuse_key=True)
    rig.ctl.run("order", "--name", name)
    rig.machine.run(["cp", f"/var/lib/acme/{name}/cert.pem", older])
    first = Caller(rig.machine).certificate(name)["SerialNumber"]
    key = rig.installed_key(name)
    rig.ctl.run("renew", "--force", name)
    second = Caller(rig.machine).certificate(name)["SerialNumber"]
    assert rig.installed_key(name) == key
    rig.ctl.run("revoke", "--file", older, "--reason", reason)
    assert rig.reason(first) == (1 if reason == "keyCompromise" else 4)
    if reason == "keyCompromise":
        rig.replaced(name, second)
        assert rig.installed_key(name) != key
    else:
        assert run_timer(rig.machine) == ""
        assert Caller(rig.machine).certificate(name)["SerialNumber"] == second
        assert rig.installed_key(name) == key
    assert rig.reason(second) is None, "nobody has asked for that"
    assert rig.state(name) == "valid"


def test_a_csr_has_no_key_here_to_revoke_it_with(rig: Rig) -> None:
    machine, name = rig.machine, f"{PREFIX}elsewhere.example.com"
    machine.run(["sh", "-c", MAKE_CSR, "sh", name])
    rig.ctl.run("order", "--name", name, "--csr", "/run/revocation/own.csr")
    serial = Caller(machine).certificate(name)["SerialNumber"]
    said = rig.ctl.error("revoke", name, "--certificate-key", code=1)
    assert f"the key of {name} is not here, as its CSR was made elsewhere; revoke it with the account's key" in said
    assert rig.reason(serial) is None
    machine.run(["rm", "-r", "/run/revocation"])
