# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that the configuration has an account validate, for hosts that cannot: by the timer, until they run out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.authority import account, another, forget
from tests.system.busctl import MANAGER, ROOT, Caller, monitor
from tests.system.installed import Installed
from tests.system.lease import wait_closed
from tests.system.timer import run_timer

ACCOUNT = "authorize"
PATH = f"{ROOT}/account/{ACCOUNT}"
FILE = f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml"
STATE = f"/var/lib/acmed/accounts/{ACCOUNT}.json"
FAILED, WELL = "7b1e94c25d0a4a3f8e6c2b90d4f7a815", "c83f0a6de4b14b0f9a27d15e7c60b3f2"
FAR = "203.0.113.9"  # where nobody is
MINUTE = 60 * 1_000_000  # microseconds

NOTIFY = '[notify]\nhook = "authorize-told"\nmail = "root@example.com"\n'
HOOK = """#!/bin/sh
echo "$1 $ACMED_EVENT certificate=$ACMED_CERTIFICATE account=$ACMED_ACCOUNT: $ACMED_MESSAGE"
"""
# In place of a mail server's, which the machine does not have: what it gets.
SENDMAIL = """#!/bin/sh
cat >>/var/spool/authorize-mail
"""


@dataclass(frozen=True)
class Ca:
    """A CA that keeps each valid authorization, and an account there."""

    machine: Machine
    pebble: Pebble

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def configure(self, *names: str) -> None:
        """The account is to have these validated."""
        lines = [line for line in self.machine.read(FILE).splitlines() if not line.startswith("authorize")]
        wish = [f"authorize = {json.dumps(names)}"] if names else []
        self.machine.write(FILE, "\n".join([*lines, *wish, ""]))

    def expires(self) -> int:
        """Until when acmed takes them for valid, in microseconds since the epoch."""
        return int(json.loads(self.machine.read(STATE))["expires"])

    def run_out(self) -> None:
        """The time comes when the authorizations end; acmed's clock is not turned for that."""
        self.machine.run(["systemctl", "stop", "acmed.service"])
        state = json.loads(self.machine.read(STATE))
        self.machine.write(STATE, json.dumps(state | {"expires": 1}))
        self.machine.run(["chown", "acmed:acmed", STATE])

    def ordered(self, name: str) -> Installed:
        """A certificate for which nothing is validated here any more."""
        self.ctl.run("order", name, "--account", ACCOUNT, "--challenge", "none")
        return Installed(self.machine, name)

    def properties(self) -> dict[str, Any]:
        return Caller(self.machine).properties(PATH, "org.acmed1.Account")


@pytest.fixture(scope="module")
def own(machine: Machine, pebble: Pebble) -> Iterator[Ca]:
    with (
        another(machine, ACCOUNT, 14120, authz_reuse=100) as own,
        account(machine, ACCOUNT, own.directory, own.ca_file),
    ):
        yield Ca(machine, own)
        forget(machine, "authorize-")


@pytest.fixture
def ca(own: Ca) -> Iterator[Ca]:
    yield own
    own.configure()
    wait_closed(own.machine)


def test_timer_has_names_validated_until_they_run_out(ca: Ca) -> None:
    first, second, third = (f"authorize-{word}.example" for word in ("one", "two", "three"))
    ca.configure(first, second)
    assert f"{first}, {second}: valid at the CA of {ACCOUNT} until " in run_timer(ca.machine)
    until = ca.expires()
    for name in (first, second):
        ca.ordered(name).check(name)
    # Nothing is left to do.
    assert run_timer(ca.machine) == ""
    assert ca.expires() == until
    # Another name; those that are valid already stay so.
    ca.configure(first, second, third)
    assert third in run_timer(ca.machine)
    ca.ordered(third).check(third)
    assert run_timer(ca.machine) == ""
    ca.run_out()
    assert third in run_timer(ca.machine)
    assert ca.expires() > 1
    assert run_timer(ca.machine) == ""
    # Fewer are no reason.
    ca.configure(first)
    assert first not in run_timer(ca.machine)


@pytest.fixture
def told(ca: Ca) -> Iterator[None]:
    """[notify] has a hook and a mail address."""
    ca.machine.write("/etc/acmed/hooks.d/authorize-told", HOOK, 0o755)
    ca.machine.write("/usr/sbin/sendmail", SENDMAIL, 0o755)
    ca.machine.write("/etc/acmed/acmed.toml.d/authorize-notify.toml", NOTIFY)
    yield
    files = "/etc/acmed/hooks.d/authorize-told /etc/acmed/acmed.toml.d/authorize-notify.toml /usr/sbin/sendmail"
    ca.machine.run(["sh", "-c", f"rm -f {files} /var/spool/authorize-mail"])


def mails(ca: Ca) -> str:
    return ca.machine.run(["cat", "/var/spool/authorize-mail"], check=False).stdout


@pytest.mark.usefixtures("told")
def test_failure_is_told_and_that_it_is_over(ca: Ca) -> None:
    """As that of a certificate: in the journal, by a signal, a hook and a mail, by acmectl."""
    name, cursor = "authorize-told.example", ca.machine.journal_cursor()
    ca.pebble.dns("add-a", host=f"{name}.", addresses=[FAR])
    try:
        ca.configure(name)
        assert ca.ctl.run("status").returncode == 0
        with monitor(ca.machine) as seen:
            run_timer(ca.machine, fails=True)
            ca.machine.wait_until("the signal", lambda: seen.seen("AuthorizationFailed", ACCOUNT))
            ((_, path, error, message, retry_at),) = seen.seen("AuthorizationFailed", ACCOUNT)
            (signal,) = [one for one in seen.signals if one.member == "AuthorizationFailed"]
        values = ca.properties()
        assert (signal.path, signal.interface, path) == (ROOT, MANAGER, PATH)
        assert ([error, message], retry_at) == (values["LastError"], values["RetryAt"])
        assert error == "org.acmed1.AcmeError.connection"
        assert (values["Failures"], retry_at - values["LastErrorTimestamp"]) == (1, MINUTE)
        hooked = f"notify authorize-failed certificate= account={ACCOUNT}: {name}: {error}: "
        ca.machine.wait_until("the hook", lambda: hooked in ca.machine.journal_after(cursor, "--output=cat"))
        subject = f"Subject: acmed: account {ACCOUNT} has names that cannot be validated\n"
        ca.machine.wait_until("the mail", lambda: subject in mails(ca))
        explained = ca.machine.journal_after(cursor, "-x", f"MESSAGE_ID={FAILED}")
        assert f"Subject: Names that the account {ACCOUNT} is to have validated could not be" in explained
        assert f"acmectl authorize NAME... --account {ACCOUNT}" in explained
        for words, code in ((("account", "show", ACCOUNT), 0), (("status",), 1)):
            shown = ca.ctl.text(*words, code=code)
            assert error in shown
            assert "Next attempt: " in shown
        assert ca.ctl.json("account", "show", ACCOUNT)["failures"] == 1
        # Again is no news for people.
        ca.ctl.run("authorize", name, "--account", ACCOUNT, code=1)
        assert ca.properties()["Failures"] == 2
    finally:
        ca.pebble.dns("clear-a", host=f"{name}.")
    assert mails(ca).count("Subject: ") == 1
    ca.ctl.run("authorize", name, "--account", ACCOUNT)
    hooked = f"notify authorized certificate= account={ACCOUNT}: {name}"
    ca.machine.wait_until("the hook", lambda: hooked in ca.machine.journal_after(cursor, "--output=cat"))
    ca.machine.wait_until("the mail", lambda: mails(ca).count("Subject: ") == 2)
    assert f"Subject: acmed: account {ACCOUNT} has names that were validated at last\n" in mails(ca)
    assert f"The names of the account {ACCOUNT} were validated after all" in ca.machine.journal_after(
        cursor, "-x", f"MESSAGE_ID={WELL}"
    )
    values = ca.properties()
    assert (values["LastError"], values["Failures"], values["RetryAt"]) == (["", ""], 0, 0)
    assert ca.ctl.run("status").returncode == 0
    assert run_timer(ca.machine) == ""
