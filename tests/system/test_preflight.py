# SPDX-License-Identifier: LGPL-2.1-or-later
"""The preflight: each thing that it looks at is wrong once, for `acmectl check` and for an order, which then is none at
the CA.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.machine.zones import TsigKey, Zone
from tests.system.acmectl import Acmectl
from tests.system.authority import account as account_at
from tests.system.busctl import Caller, certificate_path
from tests.system.conftest import add_account
from tests.system.faults.faults import Faults, faults
from tests.system.faults.table import CERTIFICATE, CHALLENGE, ORDER, PROBLEM
from tests.system.lease import wait_closed
from tests.system.standstill import SILENT_ADDRESS, silent_host

ACCOUNT = "preflight"
ACCOUNT_FILE = f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml"
FAILED = "org.acmed1.Error.PreflightFailed"
FAR = "203.0.113.9"  # where nobody is
NOT_NOW = json.dumps({"type": "urn:ietf:params:acme:error:unauthorized", "detail": "come back later"})

NGINX_SITE = "/etc/nginx/sites-enabled/preflight-test"
SERVER, RESOLVER, NOBODY = "127.0.0.11", "127.0.0.53", "127.0.0.99"
KEY = TsigKey("acmed")
ZONE = Zone("refused.test", (("ns1", (SERVER,)),), updates="allow-update { key acmed; };")
UPDATES = '[zone."refused.test"]\nkey = "preflight"\n'


@dataclass
class Rig:
    machine: Machine
    pebble: Pebble
    faults: Faults

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def configure(self, name: str, **keys: object) -> None:
        given = {"names": [name], "account": ACCOUNT, **keys}
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", "\n".join(lines) + "\n")

    def check(self, name: str, code: int = 0) -> dict[str, tuple[str, str]]:
        """Severity and message by what was looked at."""
        findings = self.ctl.json("check", name, code=code)
        return {finding["check"]: (finding["severity"], finding["message"]) for finding in findings}

    def order(self, name: str, code: int = 0) -> str:
        """What acmectl says; the requests to the CA are counted from here."""
        self.faults.forget()
        result = self.ctl.run("order", "--name", name, code=code)
        wait_closed(self.machine)
        return result.stdout + result.stderr

    def validated(self) -> bool:
        """Whether the last order asked the CA to validate anything."""
        return any(one["path"].startswith(CHALLENGE) for one in self.faults.requests())

    def ordered(self) -> bool:
        """Whether the CA was asked for an order."""
        return any(one["path"].startswith(ORDER) for one in self.faults.requests())

    def is_refused(self, name: str, check: str, words: str) -> None:
        """By both."""
        severity, message = self.check(name, code=1)[check]
        assert (severity, words in message) == ("error", True), message
        shown = self.ctl.text("check", name, code=1)
        assert f"error    {check.ljust(8)}  " in shown
        assert words in shown
        said = self.order(name, code=1)
        assert FAILED in said
        assert words in said
        assert not self.ordered()
        assert self.ctl.json("status", name, code=1)["lastError"]["name"] == FAILED

    def goes_on(self, name: str, check: str, words: str) -> None:
        """With a warning, to the certificate."""
        severity, message = self.check(name)[check]
        assert (severity, words in message) == ("warning", True), message
        self.order(name)
        assert self.validated()
        told = self.machine.run(["journalctl", "-q", "-o", "cat", f"ACME_CERTIFICATE={name}", "-p", "warning"]).stdout
        assert f"Preflight ({check}): " in told
        assert words in told

    @contextlib.contextmanager
    def caa(self, host: str, *values: str) -> Iterator[None]:
        self.pebble.dns("add-caa", host=f"{host}.", policies=[{"tag": "issue", "value": value} for value in values])
        try:
            yield
        finally:
            self.pebble.dns("clear-caa", host=f"{host}.")

    @contextlib.contextmanager
    def asks(self, address: str) -> Iterator[None]:
        """That address is the host's resolver; the CA has its own."""
        before = self.machine.read("/etc/resolv.conf")
        self.machine.write("/etc/resolv.conf", f"nameserver {address}\n")
        try:
            yield
        finally:
            self.machine.write("/etc/resolv.conf", before)

    @contextlib.contextmanager
    def nginx(self, port: int) -> Iterator[None]:
        """It has the port."""
        self.machine.write(NGINX_SITE, f"server {{ listen {port}; listen [::]:{port}; }}\n")
        self.machine.run(["systemctl", "restart", "nginx.service"])
        try:
            yield
        finally:
            self.machine.run(["systemctl", "stop", "nginx.service"])
            self.machine.run(["rm", NGINX_SITE])

    @contextlib.contextmanager
    def ca_clock(self, seconds: int) -> Iterator[None]:
        """The CA's is ahead by so much, or behind where that is negative."""
        # What it knows of the CA is of another time.
        self.machine.run(["systemctl", "stop", "acme-clientd.service"])
        self.faults.plan({"path": "/", "do": "change", "headers": {"Date": f"{{date{seconds:+}}}"}})
        try:
            yield
        finally:
            self.faults.plan()
            self.machine.run(["systemctl", "stop", "acme-clientd.service"])

    @contextlib.contextmanager
    def account(self, text: str) -> Iterator[None]:
        """The account's file ends in this."""
        before = self.machine.read(ACCOUNT_FILE)
        self.machine.write(ACCOUNT_FILE, before + text)
        try:
            yield
        finally:
            self.machine.write(ACCOUNT_FILE, before)


@pytest.fixture(scope="module")
def behind(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    """The CA gives a name's valid authorization again, each time; the account is behind the proxy that can lie."""
    pebble.authz_reuse = 100
    pebble.restart()
    with faults(machine) as proxy, account_at(machine, ACCOUNT, Faults.directory):
        yield Rig(machine, pebble, proxy)
    pebble.authz_reuse = 50
    pebble.restart()
    add_account(machine, pebble)


@pytest.fixture
def rig(behind: Rig) -> Iterator[Rig]:
    yield behind
    root = Caller(behind.machine)
    for name, *_ in root.manager("ListCertificates")[0]:
        if name.startswith("preflight-"):
            root.call(certificate_path(name), "org.acmed1.Certificate", "Forget")


def test_nothing_is_wrong(rig: Rig) -> None:
    name = "preflight-well.example.com"
    rig.configure(name)
    found = rig.check(name)
    assert {severity for severity, _ in found.values()} == {"ok"}
    assert found.keys() == {"limit", "clock", "resolve", "caa", "port"}
    assert rig.ctl.text("check", name, "--quiet") == ""
    rig.order(name)
    assert rig.validated()


# What the name's DNS says.


def test_there_is_no_such_name(rig: Rig) -> None:
    name = "preflight-nxdomain.example.com"
    rig.configure(name)
    with Bind(rig.machine, "nothing", [RESOLVER], forward={}), rig.asks(RESOLVER):
        rig.is_refused(name, "resolve", "DNS has no such name (NXDOMAIN)")


def test_the_name_has_no_address(rig: Rig) -> None:
    name = "preflight-no-address.example.com"
    rig.configure(name)
    rig.pebble.dns("set-default-ipv4", ip="")
    try:
        rig.is_refused(name, "resolve", "it has no address (no A or AAAA record)")
    finally:
        rig.pebble.set_default_addresses()
    rig.order(name)


def test_the_name_is_somewhere_else(rig: Rig) -> None:
    """Something there may pass it on: the CA is asked, and does not get there."""
    name, words = "preflight-elsewhere.example.com", f"{FAR} is not an address of this host"
    rig.configure(name)
    rig.pebble.dns("add-a", host=f"{name}.", addresses=[FAR])
    try:
        severity, message = rig.check(name)["resolve"]
        assert (severity, words in message) == ("warning", True)
        said = rig.order(name, code=1)
        assert "org.acmed1.AcmeError.connection" in said
        assert rig.validated()
    finally:
        rig.pebble.dns("clear-a", host=f"{name}.")


def test_one_of_two_addresses_is_somewhere_else(rig: Rig) -> None:
    """The CA's choice is not known; what is here is found, though."""
    name, words = "preflight-two.example.com", f"{FAR} is not an address of this host"
    rig.configure(name)
    rig.pebble.dns("add-a", host=f"{name}.", addresses=["127.0.0.1", FAR])
    try:
        severity, message = rig.check(name)["resolve"]
        assert (severity, words in message, "127.0.0.1" in message) == ("warning", True, False)
    finally:
        rig.pebble.dns("clear-a", host=f"{name}.")


@pytest.mark.parametrize("at", ["preflight-caa.example.com", "example.com", "com"])
def test_caa_is_for_another_ca(rig: Rig, at: str) -> None:
    """At the name, or at what is above it."""
    name = "preflight-caa.example.com"
    rig.configure(name)
    with rig.caa(at, "other.test", ";"):
        rig.is_refused(name, "caa", f"the CAA records of {at} forbid it: ")
    with rig.caa("com", ";"), rig.caa(at, "other.test", "pebble.test"):
        if at != "com":  # the nearest ones count
            assert rig.check(name)["caa"] == ("ok", f"CAA of {at} allows it")


def test_caa_is_for_another_account(rig: Rig) -> None:
    name = "preflight-caa-account.example.com"
    rig.configure(name)
    uri = rig.ctl.json("account", "show", ACCOUNT)["uri"]
    with rig.caa(name, f"pebble.test; accounturi={uri}0"):
        rig.is_refused(name, "caa", "accounturi")
    with rig.caa(name, f"pebble.test; accounturi={uri}0", f"pebble.test; accounturi={uri}"):
        rig.order(name)


def test_caa_is_for_another_challenge(rig: Rig) -> None:
    name = "preflight-caa-method.example.com"
    rig.configure(name)
    with rig.caa(name, "pebble.test; validationmethods=dns-01,tls-alpn-01"):
        rig.is_refused(name, "caa", "validationmethods")
        rig.configure(name, challenge="tls-alpn-01")
        assert rig.check(name)["caa"][0] == "ok"
        rig.order(name)


# What this host can do.


@pytest.mark.parametrize(("port", "challenge"), [(80, "http-01"), (443, "tls-alpn-01")])
def test_nginx_has_the_port(rig: Rig, port: int, challenge: str) -> None:
    name, words = f"preflight-{port}.example.com", f"port {port} cannot be opened: nginx.service has it"
    rig.configure(name, challenge=challenge)
    with rig.nginx(port):
        severity, message = rig.check(name, code=1)["port"]
        assert (severity, words in message) == ("error", True)
        rig.faults.forget()
        # It finds out as it tries to.
        said = rig.ctl.error("order", "--name", name, code=1)
        assert "org.acmed1.Error.ChallengeUnavailable" in said
        assert words in said
        assert not rig.validated()
    rig.order(name)


def test_the_clock_is_wrong(rig: Rig) -> None:
    name = "preflight-clock.example.com"
    rig.configure(name)
    with rig.ca_clock(7200):
        rig.is_refused(name, "clock", "s behind that of the CA: what is issued would not be valid here yet")
    with rig.ca_clock(-200_000):
        rig.is_refused(name, "clock", "s ahead of that of the CA: certificates would be renewed far too early")


@pytest.mark.parametrize(
    ("seconds", "words"), [(3000, "s behind that of the CA"), (-80_000, "s ahead of that of the CA")]
)
def test_the_clock_is_wrong_and_does_no_harm(rig: Rig, seconds: int, words: str) -> None:
    name = f"preflight-clock{seconds}.example.com".replace("clock-", "early")
    rig.configure(name)
    with rig.ca_clock(seconds):
        rig.goes_on(name, "clock", words)


def test_a_limit_of_our_own_is_reached(rig: Rig) -> None:
    first, second = "preflight-first.example.com", "preflight-second.example.com"
    with rig.account(f'[account.{ACCOUNT}.limits]\norders = "1/1h"\n'):
        rig.configure(first)
        rig.configure(second)
        assert rig.check(second)["limit"][0] == "ok"
        rig.order(first)
        words = f"acmed keeps to a limit of account '{ACCOUNT}': 1 orders in 1 h; not before "
        severity, message = rig.check(second, code=1)["limit"]
        assert (severity, words in message) == ("error", True)
        rig.faults.forget()
        said = rig.ctl.error("order", "--name", second, code=7)
        assert "org.acmed1.Error.RateLimited" in said
        assert words in said
        assert rig.faults.requests() == []
    rig.order(second)


def test_the_update_key_is_refused(rig: Rig) -> None:
    machine, name = rig.machine, "www.refused.test"
    target = "/etc/credstore.encrypted/acmed.dns/preflight"
    other = KEY.bind.replace(KEY.secret, TsigKey("other").secret)
    machine.run(["systemd-creds", "encrypt", "--name=tsig_preflight", "-", target], input=other)
    machine.write("/etc/acmed/acmed.toml.d/preflight.toml", UPDATES)
    machine.run(["systemctl", "stop", "acme-dnsd.service"])  # its credentials are those of its start
    rig.configure("preflight-update", names=[name])
    try:
        with (
            Bind(machine, "ns1", [SERVER], [ZONE], [KEY]),
            Bind(machine, "resolver", [RESOLVER], forward={ZONE.name: SERVER}),
            rig.asks(RESOLVER),
        ):
            rig.is_refused("preflight-update", "update", "BADSIG")
    finally:
        machine.run(["rm", target, "/etc/acmed/acmed.toml.d/preflight.toml"])
        machine.run(["systemctl", "stop", "acme-dnsd.service"])


def test_acme_dnsd_is_not_there(rig: Rig) -> None:
    """Who has it set a record orders nothing; for others that is a warning."""
    name, words = "preflight-dnsd.example.com", "DNS was not looked at: "
    rig.machine.run(["systemctl", "stop", "acme-dnsd.socket", "acme-dnsd.service"])
    try:
        rig.configure(name, challenge="dns-01")
        rig.is_refused(name, "dns", words)
        rig.configure(name, challenge="http-01")
        rig.goes_on(name, "dns", words)
    finally:
        rig.machine.run(["systemctl", "start", "acme-dnsd.socket"])


# What stops nothing.


def test_the_ca_says_nothing_of_itself(rig: Rig) -> None:
    """An order finds out for itself."""
    name = "preflight-directory.example.com"
    rig.configure(name)
    rig.machine.run(["systemctl", "stop", "acme-clientd.service"])  # what it knows of the CA is of another time
    rig.faults.plan({"path": "/", "do": "refuse", "status": 404, "headers": PROBLEM, "body": NOT_NOW})
    try:
        found = rig.check(name)
        severity, message = found["directory"]
        assert (severity, message.startswith("The CA cannot be asked: ")) == ("warning", True)
        assert "clock" not in found
    finally:
        rig.faults.plan()
    rig.order(name)


def test_no_resolver_is_there(rig: Rig) -> None:
    """The CA has another one."""
    name, words = (
        "preflight-no-resolver.example.com",
        f"the resolver {NOBODY} refuses connections: no name server there",
    )
    rig.configure(name)
    with rig.asks(NOBODY):
        assert rig.check(name)["caa"][0] == "warning"
        rig.goes_on(name, "resolve", words)


def test_the_resolver_refuses(rig: Rig) -> None:
    """That is what it says; the CA's says something else."""
    name = "preflight-refused.example.com"
    rig.configure(name)
    with Bind(rig.machine, "refusing", [RESOLVER]), rig.asks(RESOLVER):
        refused = f"the resolver {RESOLVER} answers REFUSED; if the CA meets the same, it "
        severity, message = rig.check(name)["caa"]
        assert (severity, f"{refused}may not issue" in message) == ("warning", True), message
        rig.goes_on(name, "resolve", f"{refused}cannot connect")


def test_the_resolver_fails_and_so_does_that_of_the_ca(rig: Rig) -> None:
    """Then it is the CA that says so."""
    name = "preflight-servfail.example.com"
    rig.configure(name)
    rig.pebble.dns("set-servfail", host=f"{name}.")
    try:
        found = rig.check(name)
        assert {check: severity for check, (severity, _) in found.items() if severity != "ok"} == {
            "resolve": "warning",
            "caa": "warning",
        }
        assert "answers SERVFAIL; if the CA meets the same, it cannot connect" in found["resolve"][1]
        assert "org.acmed1.AcmeError." in rig.order(name, code=1)
        assert rig.validated()
    finally:
        rig.pebble.dns("clear-servfail", host=f"{name}.")


def test_the_zone_s_servers_cannot_be_asked_about_a_lasting_record(rig: Rig) -> None:
    """What the resolver says of it counts."""
    machine, name = rig.machine, "www.kept.test"
    uri = rig.ctl.json("account", "show", ACCOUNT)["uri"]
    record = f'_validation-persist.www TXT "pebble.test; accounturi={uri}"'
    zone = Zone("kept.test", (("ns1", (NOBODY,)),), record)
    rig.configure("preflight-lasting", names=[name], challenge="dns-persist-01")
    for records, severity, words, code in (
        (record, "warning", "; the resolver has it", 0),
        ("", "error", "; by the resolver: there is none", 1),
    ):
        zones = [replace(zone, records=records)]
        with Bind(machine, "resolver", [RESOLVER], zones, forward={}), rig.asks(RESOLVER):
            found, message = rig.check("preflight-lasting", code=code)["records"]
            assert (found, words in message) == (severity, True), message
            assert f"ns1.kept.test ({NOBODY}) refuses connections: no name server there" in message
            said = rig.order("preflight-lasting", code=1)
            assert rig.ordered() == (severity == "warning")
            assert (FAILED in said) == (severity == "error")


def test_the_resolver_says_nothing(rig: Rig) -> None:
    """It is not waited for longer than three seconds, for all that there is to ask."""
    machine, name = rig.machine, "preflight-silent.example.com"
    words = f"the resolver {SILENT_ADDRESS} gives no answer in 3.0 s"
    rig.configure(name, names=[name, f"a.{name}", f"b.{name}"])
    with silent_host(machine, rig.pebble, "preflight-unused.example.com"), rig.asks(SILENT_ADDRESS):
        rig.goes_on(name, "resolve", words)
        told = machine.run(["journalctl", "-q", "-o", "cat", f"ACME_CERTIFICATE={name}", "-p", "warning"]).stdout
        assert told.count("gives no answer in") == told.count("gives no answer in 3.0 s") == 6


def test_it_is_turned_off(rig: Rig) -> None:
    name = "preflight-off.example.com"
    rig.configure(name, preflight=False)
    with rig.caa(name, ";"), rig.asks(NOBODY), rig.ca_clock(7200):
        rig.order(name)
    assert rig.validated()
    told = rig.machine.run(["journalctl", "-q", "-o", "cat", f"ACME_CERTIFICATE={name}"]).stdout
    assert "Preflight" not in told


def test_names_are_valid_at_the_ca_already(rig: Rig) -> None:
    """Nobody knows that before there is an order. Who does not want the preflight then turns it off; ports are not even
    opened.
    """
    name = "preflight-valid.example.com"
    rig.configure(name)
    rig.order(name)
    rig.pebble.dns("set-default-ipv4", ip="")
    try:
        with rig.nginx(80):
            found = rig.check(name, code=1)
            assert {check for check, (severity, _) in found.items() if severity == "error"} == {"resolve", "port"}
            rig.faults.forget()
            assert f"{name}: it has no address" in rig.ctl.error("renew", name, "--force", code=1)
            assert not rig.ordered()
            rig.configure(name, preflight=False)
            rig.ctl.run("renew", name, "--force")
            assert rig.ordered()
            assert not rig.validated()
    finally:
        rig.pebble.set_default_addresses()


def test_order_that_the_ca_has_already(rig: Rig) -> None:
    """What the CA is done with is fetched, whatever is in the way of another order."""
    name = "preflight-kept.example.com"
    rig.configure(name)
    rig.faults.plan({"path": CERTIFICATE, "do": "refuse", "status": 403, "headers": PROBLEM, "body": NOT_NOW})
    said = rig.order(name, code=1)
    assert "come back later" in said
    rig.faults.plan()
    rig.pebble.dns("set-default-ipv4", ip="")
    try:
        with rig.account(f'[account.{ACCOUNT}.limits]\norders = "1/1h"\n'):
            assert rig.check(name, code=1)["resolve"][0] == "error"
            rig.order(name)
            assert not rig.ordered()
    finally:
        rig.pebble.set_default_addresses()
