# SPDX-License-Identifier: LGPL-2.1-or-later
"""A CA that refuses nonces, takes its time, reuses authorizations, shuffles its answers, and forgets everybody."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.conftest import add_account
from tests.system.gate.gate import Gate, gate
from tests.system.lease import wait_closed

ORDERS = 20
FORGOTTEN = "pebble-gate"
SETTINGS: dict[str, object] = {
    "nonce_reject": 0,
    "va_nosleep": True,
    "authz_reuse": 50,
    "strict": False,
    "retry_after_authz": 1,
    "retry_after_order": 1,
}


@dataclass
class Ca:
    """Pebble, whose settings a test may change; `begin` starts it with them."""

    machine: Machine
    pebble: Pebble

    def begin(self, **settings: object) -> None:
        """A new Pebble, with a new account. What is not given is as it is for other tests."""
        for name, value in (SETTINGS | settings).items():
            setattr(self.pebble, name, value)
        self.pebble.restart()
        add_account(self.machine, self.pebble)

    def order_all(self, orders: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Order certificates, by name the names in them, all at once; what went wrong with each, if anything did."""
        begun = {
            name: self.machine.popen(["acmectl", "order", "--name", name, *names]) for name, names in orders.items()
        }
        words = {name: order.communicate(timeout=120)[0] for name, order in begun.items()}
        return {name: words[name] for name, order in begun.items() if order.returncode != 0}

    def order_many(self, prefix: str) -> None:
        """As many as there are to be, of one, two or three names."""
        orders = {}
        for number in range(ORDERS):
            name = f"pebble-{prefix}-{number}.example.com"
            orders[name] = [name, f"www.{name}", f"mail.{name}"][: 1 + number % 3]
        assert self.order_all(orders) == {}
        self.check_installed(orders)
        self.forget(orders)

    def check_installed(self, orders: Mapping[str, Sequence[str]]) -> None:
        """Each has a certificate for just its names, and its own key; the port is closed again."""
        for name, names in orders.items():
            read = f"openssl x509 -noout -ext subjectAltName -pubkey -in /var/lib/acme/{name}/cert.pem"
            text = self.machine.run(["sh", "-c", read]).stdout
            found = text.partition("DNS:")[2].partition("\n")[0].split(", DNS:")
            assert sorted(found) == sorted(names)
            key = self.machine.run(["openssl", "pkey", "-pubout", "-in", f"/var/lib/acme/{name}/privkey.pem"]).stdout
            assert key in text
        wait_closed(self.machine)
        assert self.machine.run(["ls", "-A", "/run/acmed/http01"]).stdout == ""

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.machine.run(["acmectl", "forget", name])

    def log(self, text: str) -> int:
        """How many lines of Pebble's journal have a text, in the time since it was started last."""
        show = ["systemctl", "show", "--property=InvocationID", "--value", "pebble.service"]
        invocation = self.machine.run(show).stdout.strip()
        entries = ["journalctl", "--output=cat", f"_SYSTEMD_INVOCATION_ID={invocation}"]
        return sum(text in line for line in self.machine.run(entries).stdout.splitlines())


@pytest.fixture(scope="module")
def ca(machine: Machine, pebble: Pebble, account: str) -> Iterator[Ca]:
    """Afterwards Pebble is as it was, with its account."""
    ca = Ca(machine, pebble)
    yield ca
    ca.begin()


@pytest.mark.parametrize("percent", [5, 15, 50])
def test_nonces_are_refused(ca: Ca, percent: int) -> None:
    ca.begin(nonce_reject=percent)
    ca.order_many(f"nonce-{percent}")
    assert ca.log(f"Configured to reject {percent}% of good nonces") == 1


def test_validations_take_their_time(ca: Ca) -> None:
    """Up to 5 s each, and the CA makes three at once: later ones are polled for long."""
    ca.begin(va_nosleep=False, retry_after_authz=3, retry_after_order=3)
    orders: dict[str, Sequence[str]] = {f"pebble-slow-{number}": [f"slow-{number}.example.com"] for number in range(6)}
    assert ca.order_all(orders) == {}
    ca.check_installed(orders)
    ca.forget(orders)


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_authorizations_are_reused(ca: Ca, percent: int) -> None:
    """In the order that Pebble shuffles names, authorizations and challenges into; it is strict, too."""
    ca.begin(authz_reuse=percent, strict=True)
    orders: dict[str, Sequence[str]] = {}
    for number in range(4):
        name = f"pebble-reuse-{percent}-{number}.example.com"
        orders[name] = [name, *(f"{host}.{name}" for host in ("www", "mail", "ftp"))]
    assert ca.order_all(orders) == {}
    ca.check_installed(orders)
    validated = ca.log("Pulled a task")
    assert validated == 16
    renewal = ca.machine.run(["acmectl", "renew", "--force", *orders], check=False)
    assert renewal.returncode == 0, renewal.stderr
    ca.check_installed(orders)
    again = ca.log("Pulled a task") - validated
    # Pebble reuses one now and then at 0, too.
    assert {0: 12 <= again <= 16, 50: again <= 16, 100: again == 0}[percent], again
    ca.forget(orders)


@pytest.fixture(scope="module")
def passed(ca: Ca, machine: Machine) -> Iterator[Gate]:
    """The gate in front of Pebble, and an account behind it."""
    ca.begin()
    with gate(machine) as passed:
        yield passed
    machine.run(["rm", f"/etc/acmed/acmed.toml.d/account-{FORGOTTEN}.toml", f"/etc/acmed/ca/{FORGOTTEN}.pem"])
    machine.run(["rm", f"/etc/credstore.encrypted/acmed.accounts/{FORGOTTEN}"])
    machine.run(["systemctl", "stop", "acme-keyd.service"])


def add_forgotten(machine: Machine, pebble: Pebble) -> None:
    options = ["--directory", Gate.directory, "--ca-file", pebble.ca_file, "--contact", "admin@example.com"]
    machine.run(["acmectl", "account", "add", FORGOTTEN, *options, "--agree-tos"])


@pytest.mark.parametrize("path", ["/order-plz", "/chalZ/", "/finalize-order/", "/certZ/"])
def test_the_ca_forgets_everybody_in_mid_order(ca: Ca, passed: Gate, path: str) -> None:
    """The order fails, and says that the account is to be added again; with that, the same command works."""
    machine, name = ca.machine, f"pebble-forgotten{path.strip('/')}.example.com".lower()
    add_forgotten(machine, ca.pebble)
    passed.hold("request", path)
    order = machine.popen(["acmectl", "order", name, "--account", FORGOTTEN])
    try:
        passed.wait_held()
        ca.pebble.restart()
    finally:
        passed.release()
        words, _ = order.communicate(timeout=60)
    assert order.returncode == 1
    assert "org.acmed1.AcmeError.accountDoesNotExist" in words
    assert f"acmectl account add {FORGOTTEN}" in words
    wait_closed(machine)
    status = machine.run(["acmectl", "status", name], check=False)
    assert status.returncode == 1
    assert "acmectl account add" in status.stdout
    add_forgotten(machine, ca.pebble)
    assert ca.order_all({name: []}) == {}
    ca.check_installed({name: [name]})
    ca.forget([name])
