# SPDX-License-Identifier: LGPL-2.1-or-later
"""When things go wrong again and again: acmed keeps to limits of its own, waits as it is told to, and says so by every
way that there is.
"""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.machine.pebble import Profile
from tests.system.acmectl import Acmectl, running
from tests.system.authority import account as account_at
from tests.system.authority import forget
from tests.system.busctl import MANAGER, ROOT, Caller, certificate_path, monitor
from tests.system.conftest import add_account
from tests.system.faults.faults import Faults, faults
from tests.system.faults.table import ORDER, PROBLEM, at, busy
from tests.system.gate.gate import Gate, gate
from tests.system.timer import run_timer

PREFIX = "limits-"
ACCOUNT = "limits"
GATED = "limits-gate"
ACCOUNT_FILE = "/etc/acmed/acmed.toml.d/account-{}.toml"
RATE_LIMITED = "org.acmed1.Error.RateLimited"
FAILED, EXPIRING = "2f0c6f2fb1d84f5c8a6e9b7f6f0d3c51", "a6f5d1c0c5f04b8ea7a1d0b4c2e87d36"
FAR = "203.0.113.9"  # where nobody is
SECOND = 1_000_000  # microseconds
REPLACED = json.dumps({"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "somebody was here before you"})

# In seconds: the time for its renewal is soon over, and not before it was looked at.
SHORT = Profile("Certificates that are soon in danger", validity=20)

NOTIFY = '[notify]\nhook = "limits-told"\nmail = "root@example.com"\n'
HOOK = """#!/bin/sh
echo "$1 $ACMED_EVENT $ACMED_CERTIFICATE: $ACMED_MESSAGE"
"""
# In place of a mail server's, which the machine does not have: what it is called with, and what it gets.
SENDMAIL = """#!/bin/sh
{ echo "sendmail $*"; cat; } >>/var/spool/limits-mail
"""


@dataclass
class Rig:
    machine: Machine
    pebble: Pebble
    faults: Faults

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def order(self, name: str, *words: str, code: int = 0) -> str:
        """What acmectl says; the requests to the CA are counted from here."""
        self.faults.forget()
        result = self.ctl.run("order", name, "--account", ACCOUNT, *words, code=code)
        return result.stdout + result.stderr

    def asked(self) -> list[str]:
        """Paths at the CA, but for its directory and a nonce, which a preflight may ask for before a limit is seen."""
        paths = [request["path"] for request in self.faults.requests()]
        return [path for path in paths if path not in ("/dir", "/nonce-plz")]

    def is_limited(self, name: str, words: str) -> None:
        """The CA is not even asked, by no way to begin an order."""
        assert f"acmed keeps to a limit of account '{ACCOUNT}': {words}; not before " in self.order(name, code=7)
        assert RATE_LIMITED in self.ctl.error("renew", name, "--force", code=7)
        assert self.asked() == []
        values = Caller(self.machine).certificate(name)
        assert values["LastError"][0] == RATE_LIMITED
        assert values["RetryAt"] > values["LastErrorTimestamp"]

    @contextlib.contextmanager
    def limits(self, account: str = ACCOUNT, **rates: str) -> Iterator[None]:
        lines = [f"{kind} = {json.dumps(rate)}" for kind, rate in rates.items()]
        path = ACCOUNT_FILE.format(account)
        before = self.machine.read(path)
        self.machine.write(path, "\n".join([before, f"[account.{account}.limits]", *lines, ""]))
        try:
            yield
        finally:
            self.machine.write(path, before)

    @contextlib.contextmanager
    def unreachable(self, *names: str) -> Iterator[None]:
        """The CA cannot validate these."""
        for name in names:
            self.pebble.dns("add-a", host=f"{name}.", addresses=[FAR])
        try:
            yield
        finally:
            for name in names:
                self.pebble.dns("clear-a", host=f"{name}.")


@pytest.fixture(scope="module")
def behind(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    """An account behind the proxy, whose limits a test may set."""
    pebble.profiles = {**pebble.profiles, "short": SHORT}
    pebble.restart()
    with faults(machine) as proxy, account_at(machine, ACCOUNT, Faults.directory):
        yield Rig(machine, pebble, proxy)
    pebble.profiles = {name: profile for name, profile in pebble.profiles.items() if name != "short"}
    pebble.restart()
    add_account(machine, pebble)


@pytest.fixture
def rig(behind: Rig) -> Iterator[Rig]:
    yield behind
    behind.faults.plan()
    root = Caller(behind.machine)
    behind.machine.wait_until("the jobs to end", lambda: not root.jobs())
    for name, *_ in root.manager("ListCertificates")[0]:
        if name.startswith(PREFIX):
            root.call(certificate_path(name), "org.acmed1.Certificate", "Forget")


# Limits of our own.


def test_loop_of_failures_is_stopped(rig: Rig) -> None:
    """Whoever asks, and also after a restart; a name with the same trouble does not matter to others."""
    name, other = f"{PREFIX}loop.example.com", f"{PREFIX}beside.example.com"
    with rig.limits(failures="5/1h"), rig.unreachable(name):
        for _ in range(5):
            assert "org.acmed1.AcmeError.connection" in rig.order(name, code=1)
        words = f"5 failed validations of {name} in 1 h"
        rig.is_limited(name, words)
        rig.machine.run(["systemctl", "stop", "acmed.service"])
        rig.is_limited(name, words)
        # Together with it, others cannot be had either.
        assert words in rig.ctl.error("order", other, name, "--account", ACCOUNT, code=7)
        rig.order(other, "--name", f"{other}.alone")
        severity = {one["check"]: one["severity"] for one in rig.ctl.json("check", name, code=1)}
        assert severity["limit"] == "error"
        # An hour after the first of the failures, however often somebody asked since.
        values = Caller(rig.machine).certificate(name)
        assert 50 * 60 * SECOND < values["RetryAt"] - values["LastErrorTimestamp"] <= 3600 * SECOND
        assert values["Failures"] == 5


def test_limit_is_over_when_its_time_is(rig: Rig) -> None:
    name = f"{PREFIX}over.example.com"
    with rig.limits(failures="1/10s"), rig.unreachable(name):
        rig.order(name, code=1)
        failed = time.monotonic()
        rig.is_limited(name, f"1 failed validations of {name} in 10 s")
    with rig.limits(failures="1/10s"):
        time.sleep(max(0.0, failed + 10 - time.monotonic()))
        rig.order(name)


@pytest.mark.parametrize(
    ("kind", "names", "words"),
    [
        ("orders", ["a.one.test", "b.two.test", "c.three.test"], "2 orders in 1 h"),
        ("certificates", ["a.many.test", "b.many.test", "c.many.test"], "2 certificates for many.test and names below"),
        ("duplicates", ["same.test", "same.test", "same.test"], "2 certificates for exactly these names in 1 h"),
    ],
)
def test_orders_that_succeed_are_counted_too(rig: Rig, kind: str, names: list[str], words: str) -> None:
    with rig.limits(**{kind: "2/1h"}):
        for number, name in enumerate(names[:2]):
            rig.order(name, "--name", f"{PREFIX}{kind}-{number}")
        said = rig.order(names[2], "--name", f"{PREFIX}{kind}-2", code=7)
        assert f"acmed keeps to a limit of account '{ACCOUNT}': {words}" in said
        assert rig.asked() == []
        if kind != "orders":
            rig.order("elsewhere.example.com", "--name", f"{PREFIX}{kind}-elsewhere")
        # A renewal that the CA is told of counts for none of these.
        rig.ctl.run("renew", f"{PREFIX}{kind}-0", "--force")


def test_replacement_that_the_ca_does_not_take_is_no_way_round(rig: Rig) -> None:
    """It is asked whether it takes it, and for nothing else; names that are validated alone count less."""
    name = f"{PREFIX}replaced.example.com"
    with rig.limits(certificates="1/1h", duplicates="1/1h"):
        rig.order(name)
        rig.faults.plan(at(ORDER, "refuse", status=409, headers=PROBLEM, body=REPLACED))
        rig.faults.forget()
        said = rig.ctl.error("renew", name, "--force", code=7)
        assert f"acmed keeps to a limit of account '{ACCOUNT}': 1 certificates for exactly these names" in said
        assert rig.asked().count(ORDER) == 1
        rig.faults.plan()
        rig.ctl.run("authorize", name, "--account", ACCOUNT)
        # As one that the CA takes it is none of these.
        rig.ctl.run("renew", name, "--force")


# Many at once.


@pytest.fixture
def gated(rig: Rig) -> Iterator[Gate]:
    """An account whose requests a test can stop on their way to the CA."""
    with gate(rig.machine) as opened:
        with account_at(rig.machine, GATED, Gate.directory):
            yield opened
            root = Caller(rig.machine)
            rig.machine.wait_until("the jobs to end", lambda: not root.jobs())
            forget(rig.machine, PREFIX)
        rig.machine.run(["systemctl", "stop", "acmed.service"])  # which has read it
        rig.machine.run(["rm", "-f", f"/var/lib/acmed/limits/{GATED}.json"])


@pytest.mark.parametrize("kind", ["orders", "certificates"])
def test_as_many_orders_at_once_as_there_is_room_for(rig: Rig, gated: Gate, kind: str) -> None:
    """All begin before the CA has made the first. Those for which there is no room are told until when, and the CA
    hears nothing of them.
    """
    names = [f"{PREFIX}{kind}-{number}.at-once.test" for number in range(5)]
    with rig.limits(GATED, **{kind: "2/1h"}), contextlib.ExitStack() as stack:
        gated.hold("request", ORDER)
        begun = [stack.enter_context(running(rig.machine, "order", name, "--account", GATED)) for name in names]
        gated.wait_held(2)
        rig.machine.wait_until("the others to end", lambda: sum(one.process.poll() is not None for one in begun) == 3)
        gated.release()
        ends = [one.end() for one in begun]
    assert sorted(code for code, _ in ends) == [0, 0, 7, 7, 7]
    for code, said in ends:
        limited = re.search(r"limit of account 'limits-gate': 2 .* in 1 h, with what is under way; not before \d", said)
        assert bool(limited) == (code == 7), said
    assert [gated.orders(name) for name, (code, _) in zip(names, ends, strict=True)] == [
        int(code == 0) for code, _ in ends
    ]


@pytest.mark.parametrize("phase", ["request", "answer"])
def test_order_that_acmed_was_killed_in_is_counted_once(rig: Rig, gated: Gate, phase: str) -> None:
    first, second, third = (f"{PREFIX}killed-{phase}-{number}.example.com" for number in range(3))
    with rig.limits(GATED, orders="2/1h", certificates="2/1h", duplicates="1/1h", failures="1/1h"):
        gated.hold(phase, ORDER)
        with running(rig.machine, "order", first, "--account", GATED) as order:
            gated.wait_held()
            rig.machine.run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "acmed.service"])
            gated.release()
            code, said = order.end()
        assert (code, gated.orders(first)) == (0, 1), said
        rig.ctl.run("order", second, "--account", GATED)
        assert "2 orders in 1 h; not before" in rig.ctl.error("order", third, "--account", GATED, code=7)
        assert gated.orders(third) == 0


# What the CA says.


@pytest.mark.parametrize("status", [429, 503])
def test_the_ca_says_how_long_to_wait(rig: Rig, status: int) -> None:
    """All that shows a certificate shows it, and the timer keeps to it."""
    name = f"{PREFIX}wait-{status}.example.com"
    rig.faults.plan(busy(ORDER, status, "7200"))
    with monitor(rig.machine) as seen:
        said = rig.order(name, code=7)
        rig.machine.wait_until("the signal", lambda: seen.seen("CertificateFailed", name))
        ((_, path, error, message, retry_at),) = seen.seen("CertificateFailed", name)
    values = Caller(rig.machine).certificate(name)
    until = time.strftime("%Y-%m-%d %H:%M", time.gmtime(values["RetryAt"] / SECOND))
    assert "org.acmed1.AcmeError.rateLimited" in said
    assert f"too many of you; not before {until}" in said
    assert (path, [error, message], retry_at) == (certificate_path(name), values["LastError"], values["RetryAt"])
    assert 7190 * SECOND < values["RetryAt"] - values["LastErrorTimestamp"] <= 7200 * SECOND
    status_text = rig.ctl.text("status", name, code=1)
    assert re.search(r"Next attempt: .*\(in (1 h|2 h|1 hour|2 hours|119 min|120 min)", status_text), status_text
    assert rig.ctl.json("status", name, code=1)["retryAt"]
    rig.faults.plan()
    rig.faults.forget()
    run_timer(rig.machine)
    assert rig.asked() == []
    rig.order(name)  # a person may
    assert Caller(rig.machine).certificate(name)["RetryAt"] == 0


# Who is told.


@pytest.fixture
def told(rig: Rig) -> Iterator[None]:
    """[notify] has a hook and a mail address."""
    rig.machine.write("/etc/acmed/hooks.d/limits-told", HOOK, 0o755)
    rig.machine.write("/usr/sbin/sendmail", SENDMAIL, 0o755)
    rig.machine.write("/etc/acmed/acmed.toml.d/limits.toml", NOTIFY)
    rig.machine.run(["rm", "-f", "/var/spool/limits-mail"])
    yield
    files = "/etc/acmed/hooks.d/limits-told /etc/acmed/acmed.toml.d/limits.toml /usr/sbin/sendmail"
    rig.machine.run(["sh", "-c", f"rm -f {files} /var/spool/limits-mail"])


def mails(rig: Rig) -> str:
    return rig.machine.run(["cat", "/var/spool/limits-mail"], check=False).stdout


def unwrapped(text: str) -> str:
    """A mail has shorter lines than a message may be long."""
    return " ".join(text.split())


@pytest.mark.usefixtures("told")
def test_failure_is_told(rig: Rig) -> None:
    """In the journal, by a signal, a hook and a mail; of the next ones only those that listen all the time hear."""
    name = f"{PREFIX}told.example.com"
    cursor, root = rig.machine.journal_cursor(), Caller(rig.machine)
    with rig.unreachable(name), monitor(rig.machine) as seen:
        rig.order(name, code=1)
        error, message = root.certificate(name)["LastError"]
        assert error == "org.acmed1.AcmeError.connection"
        rig.machine.wait_until("the mail", lambda: message in unwrapped(mails(rig)))
        hooked = f"notify failed {name}: {error}: {message}"
        rig.machine.wait_until("the hook", lambda: hooked in rig.machine.journal_after(cursor, "--output=cat"))
        header, _, text = mails(rig).partition("\n\n")
        assert header.splitlines()[:3] == [
            "sendmail -i -t",
            "To: root@example.com",
            f"Subject: acmed: {name} cannot be renewed",
        ]
        assert unwrapped(text).endswith(f"{error}: {message}")
        rig.order(name, code=1)
        rig.machine.wait_until("the second signal", lambda: len(seen.seen("CertificateFailed", name)) == 2)
        signals = [one for one in seen.signals if one.member == "CertificateFailed"]
    assert {(one.path, one.interface) for one in signals} == {(ROOT, MANAGER)}
    assert signals[0].body[:4] == [name, certificate_path(name), error, message]
    assert signals[0].body[4] < signals[1].body[4] == root.certificate(name)["RetryAt"]
    assert mails(rig).count("Subject: ") == 1
    assert rig.machine.journal_after(cursor, "--output=cat").count(hooked) == 1
    entries = [
        json.loads(line)
        for line in rig.machine.journal_after(cursor, "--output=json", f"MESSAGE_ID={FAILED}").splitlines()
    ]
    assert [entry["ACME_FAILURES"] for entry in entries] == ["1", "2"]
    assert {(entry["ACME_CERTIFICATE"], entry["ACME_ERROR"], entry["PRIORITY"]) for entry in entries} == {
        (name, error, "3")
    }
    explained = rig.machine.journal_after(cursor, "-x", f"MESSAGE_ID={FAILED}")
    assert f"Subject: The certificate {name} could not be obtained, renewed or delivered" in explained
    assert f"The attempt ended with {error}; the message above says why." in explained
    assert f"acmectl check {name}" in explained


@pytest.mark.usefixtures("told")
def test_who_cannot_be_told_is_no_trouble(rig: Rig) -> None:
    name, cursor = f"{PREFIX}deaf.example.com", rig.machine.journal_cursor()
    rig.machine.write("/etc/acmed/hooks.d/limits-told", "#!/bin/sh\necho no >&2\nexit 3\n", 0o755)
    rig.machine.run(["rm", "/usr/sbin/sendmail"])
    with rig.unreachable(name):
        rig.order(name, code=1)
        said = f"Nobody was told of {name}, as [notify] says: "
        rig.machine.wait_until(
            "the journal to have it", lambda: said in rig.machine.journal_after(cursor, "--output=cat")
        )
    rig.order(name)


@pytest.mark.usefixtures("told")
def test_certificate_in_danger(rig: Rig) -> None:
    """acmectl status tells a script, as long as the timer cannot help it; whoever is to know hears once."""
    name = f"{PREFIX}danger.example.com"
    rig.order(name, "--profile", "short")
    assert rig.ctl.json("status", name)["endangered"] is False
    # The CA refuses from now on.
    rig.faults.plan(busy(ORDER, 503, "3600"))
    root, cursor = Caller(rig.machine), rig.machine.journal_cursor()
    rig.machine.wait_until("its time to come", lambda: root.certificate(name)["Endangered"])
    assert rig.ctl.json("status", name, code=1)["state"] in ("due", "expired")
    assert "it should have been renewed by now" in rig.ctl.text("status", name, code=1)
    assert name in rig.ctl.text("status", code=1)
    run_timer(rig.machine, fails=True)
    run_timer(rig.machine)
    words = f"{name} should have been renewed at "
    rig.machine.wait_until("the mail", lambda: mails(rig).count(words))
    assert mails(rig).count(f"Subject: acmed: {name} is about to expire") == 1
    explained = rig.machine.journal_after(cursor, "-x", f"MESSAGE_ID={EXPIRING}")
    assert explained.count(words) == 1
    assert f"Subject: The certificate {name} should have been renewed by now" in explained
    rig.faults.plan()
    rig.ctl.run("renew", name)
    assert rig.ctl.run("status", name).returncode == 0
