# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two CAs for a certificate: the second where the first does not issue, and never both at once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl, running
from tests.system.authority import account, another, forget
from tests.system.gate.gate import Gate, gate
from tests.system.gate.proxy import PORT
from tests.system.installed import Installed
from tests.system.lease import wait_closed
from tests.system.once import orders
from tests.system.timer import run_timer

FIRST, SECOND = "failover-first", "failover-second"

# A CA that does not answer is given up after so many seconds.
CONFIGURATION = "".join(f"[account.{name}.deadlines]\nrequest = 2\n" for name in (FIRST, SECOND))
CONFIGURED = "/etc/acmed/acmed.toml.d/failover.toml"

SITE = "/etc/nginx/sites-enabled/failover"
TLS = "ssl_certificate /etc/pebble/server.pem; ssl_certificate_key /etc/pebble/server.key;"


@dataclass
class Cas:
    """The first is behind a gate, so that it can be away and come back as the same CA."""

    machine: Machine
    first: Pebble
    second: Pebble
    gates: ExitStack = field(default_factory=ExitStack)

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    @property
    def gate(self) -> Gate:
        return Gate(self.machine)

    def order(self, name: str, code: int = 0) -> str:
        """What acmectl says, to both outputs."""
        done = self.ctl.run("order", name, "--account", FIRST, "--failover", SECOND, code=code)
        return done.stdout + done.stderr

    def issuer(self, name: str) -> str:
        """The account whose CA has issued what is installed."""
        certificate = Installed(self.machine, name)
        certificate.check(name)
        (found,) = (
            account
            for account, pebble in ((FIRST, self.first), (SECOND, self.second))
            if certificate.is_issued_by(pebble.root_pem())
        )
        return found

    def open(self) -> None:
        """The first is there (again)."""
        self.gates.enter_context(gate(self.machine))

    def close(self) -> None:
        """It takes no connection."""
        self.gates.close()


@pytest.fixture(scope="module")
def cas(machine: Machine, pebble: Pebble) -> Iterator[Cas]:
    with another(machine, SECOND, 14100) as second, ExitStack() as stack:
        cas = Cas(machine, pebble, second)
        stack.callback(cas.close)
        cas.open()
        machine.write(CONFIGURED, CONFIGURATION)
        stack.callback(machine.run, ["rm", CONFIGURED])
        stack.enter_context(account(machine, FIRST, Gate.directory))
        stack.enter_context(account(machine, SECOND, second.directory))
        yield cas
        forget(machine, "failover-")


@contextmanager
def away(cas: Cas, kind: str) -> Iterator[None]:
    """In the first CA's place there is nothing, or what answers so."""
    cas.close()
    if kind != "dead":
        answer = f"listen {PORT} ssl; {TLS} default_type text/html; return {kind} '<html>Sorry</html>';"
        cas.machine.write(SITE, f"server {{ {answer} }}\n")
        cas.machine.run(["mv", "/etc/nginx/sites-enabled/default", "/root/failover-default"])
        cas.machine.run(["systemctl", "start", "nginx.service"])
    try:
        yield
    finally:
        if kind != "dead":
            cas.machine.run(["systemctl", "stop", "nginx.service"])
            cas.machine.run(["mv", "/root/failover-default", "/etc/nginx/sites-enabled/default"])
            cas.machine.run(["rm", SITE])
        cas.open()


@pytest.mark.parametrize("kind", ["dead", "500", "503"])
def test_the_second_issues_and_the_first_again_later(cas: Cas, kind: str) -> None:
    name = f"failover-{kind}.example"
    with away(cas, kind):
        said = cas.order(name)
    assert f"; trying {SECOND}" in said
    assert cas.issuer(name) == SECOND
    shown = cas.ctl.json("status", name)
    assert (shown["state"], shown["failures"], shown["differences"]) == ("valid", 0, [])
    assert (shown["account"], shown["failover"]) == (FIRST, [SECOND])
    cas.ctl.run("renew", "--force", name)
    assert cas.issuer(name) == FIRST
    wait_closed(cas.machine)


def test_both_are_away(cas: Cas) -> None:
    """Each is told of, also the one that says nothing; when both are back, the first is asked."""
    name, unit = "failover-both.example", f"{cas.second.name}.service"
    with away(cas, "dead"):
        cas.machine.run(["systemctl", "kill", "--signal=STOP", unit])
        try:
            said = cas.order(name, code=1)
        finally:
            cas.machine.run(["systemctl", "kill", "--signal=CONT", unit])
    for whose, port in ((FIRST, PORT), (SECOND, cas.second.port)):
        assert f"{whose}: https://localhost:{port}/" in said
    assert "org.acmed1.Error.Unreachable" in said
    status = cas.ctl.json("status", name, code=1)
    assert (status["state"], status["failures"]) == ("failing", 1)
    assert status["retryAt"]
    assert name not in run_timer(cas.machine), "its time has not come"
    cas.ctl.run("renew", name)
    assert cas.issuer(name) == FIRST


def test_what_is_not_the_cas_fault_is_not_asked_of_the_second(cas: Cas) -> None:
    name, before = "failover-host.example", orders(cas.second)
    cas.first.dns("add-a", host=f"{name}.", addresses=["203.0.113.1"])
    try:
        said = cas.order(name, code=1)
    finally:
        cas.first.dns("clear-a", host=f"{name}.")
    assert "org.acmed1.AcmeError.connection" in said
    assert SECOND not in said
    assert orders(cas.second) == before


@pytest.mark.parametrize("phase", ["request", "answer"])
def test_no_second_order_while_the_first_ca_may_issue(cas: Cas, phase: str) -> None:
    """It was asked to, and is away before it has said how that ended: it alone is asked, until it answers."""
    name = f"failover-unfinished-{phase}.example"
    first, second = orders(cas.first), orders(cas.second)
    cas.gate.hold(phase, "/finalize-order/")
    order = ["order", name, "--account", FIRST, "--failover", SECOND]
    with running(cas.machine, *order) as begun:
        cas.gate.wait_held()
        with away(cas, "dead"):
            code, said = begun.end()
            assert code == 1
            assert "org.acmed1.Error.Unreachable" in said
            again = cas.ctl.run("renew", name, code=1).stderr
            assert "Connection refused" in again
    assert SECOND not in said + again
    assert (orders(cas.first), orders(cas.second)) == (first + 1, second)
    cas.ctl.run("renew", name)
    assert cas.issuer(name) == FIRST
    assert (orders(cas.first), orders(cas.second)) == (first + 1, second)
