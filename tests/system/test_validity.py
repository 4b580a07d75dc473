# SPDX-License-Identifier: LGPL-2.1-or-later
"""From when until when a certificate is asked to be valid (RFC 8555 section 7.4), and a CA that lets nobody choose."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from acmed.ctl.exits import Exit
from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.authority import account as account_at
from tests.system.authority import forget
from tests.system.faults.faults import Faults, faults
from tests.system.faults.table import ORDER, PROBLEM, at
from tests.system.installed import Installed
from tests.system.timer import run_timer

PREFIX = "validity-"
# Let's Encrypt's words.
REFUSAL = "NotBefore and NotAfter are not supported"


@dataclass(frozen=True)
class Host:
    """Where certificates are ordered. The time is the machine's own, as is that of its CA."""

    machine: Machine
    account: str

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def now(self) -> datetime:
        return datetime.fromtimestamp(int(self.machine.run(["date", "+%s"]).stdout), UTC)

    def asked(self, name: str) -> tuple[datetime | None, datetime | None]:
        """notBefore and notAfter of the order, as root has permitted it."""
        request = json.loads(self.machine.read(f"/var/lib/acme-privd/pending/{name}/request.json"))
        begin, end = (request[key] and datetime.fromisoformat(request[key]) for key in ("not_before", "not_after"))
        return begin, end

    def issued(self, name: str) -> tuple[datetime, datetime]:
        """notBefore and notAfter of the certificate."""
        begin, end = Installed(self.machine, name).show("-dates", "-dateopt", "iso_8601").splitlines()
        return moment(begin), moment(end)


def moment(line: str) -> datetime:
    """Of a line such as notBefore=2026-01-31 13:45:00Z."""
    return datetime.fromisoformat(line.partition("=")[2].replace(" ", "T"))


@pytest.fixture(scope="module")
def host(machine: Machine, pebble: Pebble, account: str) -> Iterator[Host]:
    yield Host(machine, account)
    forget(machine, PREFIX)


def test_begin_and_end(host: Host) -> None:
    name = f"{PREFIX}both.example"
    before = host.now()
    host.ctl.run("order", name, "--account", host.account, "--validity", "8", "--backdate", "36")
    after = host.now()
    Installed(host.machine, name).check(name)
    begin, end = host.issued(name)
    assert host.asked(name) == (begin, end)
    assert before <= begin + timedelta(hours=36) <= after
    assert end - begin == timedelta(days=8, hours=36)
    status = host.ctl.json("status", name)
    assert (status["state"], status["differences"]) == ("valid", [])
    assert datetime.fromisoformat(status["notBefore"]) == begin
    assert f"{name}: renewed" not in run_timer(host.machine)
    host.ctl.run("renew", name, "--force")
    assert host.issued(name) == host.asked(name)
    assert host.issued(name) >= (begin, end)


def test_begin_alone(host: Host) -> None:
    """As the certificate's file says it; the end is the CA's."""
    name = f"{PREFIX}begin.example"
    host.machine.write(f"/etc/acmed/certificates.d/{name}.toml", f'names = ["{name}"]\nbackdate-hours = 1\n')
    before = host.now()
    host.ctl.run("order", "--name", name)
    begin, _ = host.issued(name)
    assert host.asked(name) == (begin, None)
    assert before <= begin + timedelta(hours=1) <= host.now()


def test_neither_is_asked_for_by_itself(host: Host) -> None:
    name = f"{PREFIX}none.example"
    before = host.now()
    host.ctl.run("order", name, "--account", host.account)
    assert host.asked(name) == (None, None)
    assert host.issued(name)[0] >= before - timedelta(seconds=1)


@pytest.fixture(scope="module")
def strict(host: Host, pebble: Pebble) -> Iterator[tuple[Faults, str]]:
    """A CA that lets nobody choose, and an account there."""
    with faults(host.machine) as proxy, account_at(host.machine, "validity", proxy.directory) as name:
        body = json.dumps({"type": "urn:ietf:params:acme:error:malformed", "detail": REFUSAL})
        refuse: dict[str, Any] = {"status": 400, "headers": PROBLEM, "body": body}
        proxy.plan(*(at(ORDER, "refuse", asks=member, **refuse) for member in ("notBefore", "notAfter")))
        yield proxy, name
        forget(host.machine, f"{PREFIX}refused")


@pytest.mark.parametrize(("option", "value"), [("backdate", "12"), ("validity", "8")])
def test_ca_that_refuses_it(host: Host, strict: tuple[Faults, str], option: str, value: str) -> None:
    """Its words are told, and without it there is a certificate."""
    (proxy, account), name = strict, f"{PREFIX}refused-{option}.example"
    proxy.forget()
    said = host.ctl.run("order", name, "--account", account, f"--{option}", value, code=Exit.FAILED).stderr
    assert REFUSAL in said
    status = host.ctl.json("status", name, code=Exit.FAILED)
    assert (status["state"], status["lastError"]["name"]) == ("failing", "org.acmed1.AcmeError.malformed")
    assert REFUSAL in status["lastError"]["message"]
    assert [one["done"] for one in proxy.requests() if one["path"] == ORDER] == ["refuse"]
    path = f"/etc/acmed/certificates.d/{name}.toml"
    kept = [line for line in host.machine.read(path).splitlines() if not line.startswith(option)]
    host.machine.write(path, "\n".join([*kept, ""]))
    host.ctl.run("order", "--name", name)
    Installed(host.machine, name).check(name)
