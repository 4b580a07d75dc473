# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-dnsd in its unit, with BIND and Knot: two name servers of each zone, and a resolver."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.machine import Machine
from tests.machine.bind import Bind
from tests.machine.knot import Knot
from tests.machine.zones import TsigKey, Zone

UNIT = "acme-dnsd.service"
RESOLVER, BIND, OTHER, KNOT = "127.0.0.53", "127.0.0.11", "127.0.0.12", "127.0.0.21"
VALUE, OTHERS = "V" * 43, "W" * 43
ACCOUNT = "https://ca.test/acct/1"

KEYS = [TsigKey(f"a{bits}", f"hmac-sha{bits}") for bits in (256, 384, 512)]
STRANGER = TsigKey("stranger")
CREDENTIALS = {
    "bind256": KEYS[0].bind,
    "bind384": KEYS[1].bind,
    "bind512": KEYS[2].bind,
    "knot256": KEYS[0].knot,
    "knot384": KEYS[1].knot,
    "a512": KEYS[2].private,  # a file without a name: the credential's is taken
    "wrong": KEYS[0].bind.replace(KEYS[0].secret, STRANGER.secret),
    "stranger": STRANGER.bind,
    "broken": f'key "a256" {{ algorithm rsasha256; secret "{KEYS[0].secret}"; }};',
}

BY_KEY = "allow-update { key a256; key a384; key a512; };"
OWNER = "update-type: TXT\nupdate-owner: name\nupdate-owner-match: equal\nupdate-owner-name:"
OF_BIND = (("ns1", (BIND, "::1")), ("ns2", (KNOT,)))
OF_KNOT = (("ns2", (KNOT,)), ("ns1", (OTHER,)))
CNAME = "_acme-challenge.alias CNAME alias.acme.knot.test.\nwww CNAME web\nweb A 127.0.0.1\naway A 192.0.2.1"
CAA = 'caa CAA 0 issue "ca.test"\n*.caa CAA 0 issue ";"'

AT_BIND = [
    Zone("bind.test", OF_BIND, records=f"{CNAME}\n{CAA}", updates=BY_KEY, notify=(KNOT,)),
    Zone("open.test", (("ns1", ("::1", BIND)),), updates="allow-update { 127.0.0.0/8; };"),
    Zone("policy.test", OF_BIND[:1], updates="update-policy { grant a256 name _acme-challenge.policy.test. TXT; };"),
    Zone("lag.test", OF_BIND, updates=BY_KEY),
    Zone("fail.test", (("ns1", (BIND,)), ("ns3", (OTHER,))), updates=BY_KEY),
    Zone("far.test", (("ns1", (BIND,)), ("ns4", ("192.0.2.99", "2001:db8::99"))), updates=BY_KEY),
]
AT_KNOT = [
    Zone("knot.test", OF_KNOT, updates="key: [a256, a384, a512]", notify=(OTHER,)),
    Zone("limited.test", OF_KNOT[:1], updates=f"key: a256\n{OWNER} _acme-challenge.limited.test."),
    Zone("bind.test", OF_BIND, primary=BIND),
    Zone("lag.test", OF_BIND, primary=BIND),
]
AT_OTHER = [
    Zone("knot.test", OF_KNOT, primary=KNOT),
    Zone("fail.test", OF_KNOT, primary="127.0.0.99"),  # it has no data, and so fails
]
FORWARD = {zone.name: BIND for zone in AT_BIND} | {"knot.test": KNOT, "limited.test": KNOT}
NAMES = [*FORWARD, "www.bind.test", "alias.bind.test", "away.bind.test", "caa.bind.test", "x.policy.test"]

CALL = """
import asyncio, json, sys
from pathlib import Path
from acmed import varlink

async def main():
    client = varlink.Client(varlink.load("org.acmed.DNS"), Path("/run/acmed/dns.sock"))
    try:
        async for reply in client.call_more(sys.argv[1], timeout=120, **json.loads(sys.argv[2])):
            print(json.dumps(reply), flush=True)
    except varlink.VarlinkError as error:
        print(json.dumps({"error": error.name.rpartition(".")[2], **error.parameters}), flush=True)
    except varlink.ConnectionLost as error:
        print(json.dumps({"error": str(error)}), flush=True)

asyncio.run(main())
"""


@dataclass
class Dnsd:
    """The daemon in `machine`, called by the user acmed; and the servers that it speaks with."""

    machine: Machine
    bind: Bind
    knot: Knot
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def configure(self, **changes: Any) -> None:
        """All zones have these settings; those of changes that are named bind or knot, other ones."""
        lines = ["[account.dnsd]", 'directory = "https://ca.test/"', f"authorize = {json.dumps(NAMES)}"]
        for zone in FORWARD:
            lines.append(f'[zone."{zone}"]')
            settings = {} if zone == "open.test" else {"key": "bind256"}
            settings |= changes
            lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None]
        self.machine.write("/etc/acmed/acmed.toml.d/dnsd.toml", "\n".join(lines) + "\n")

    def call(self, method: str, user: str = "acmed", **parameters: Any) -> dict[str, Any]:
        return self.replies(method, user, **parameters)[-1]

    def replies(self, method: str, user: str = "acmed", **parameters: Any) -> list[dict[str, Any]]:
        command = self.command(method, **parameters)
        return [json.loads(line) for line in self.machine.run(command, user=user, timeout=180).stdout.splitlines()]

    def command(self, method: str, **parameters: Any) -> list[str]:
        return ["python3", "-c", CALL, method, json.dumps({"job": 7, "certificate": "c", **parameters})]

    def present(self, *records: dict[str, str]) -> None:
        assert self.call("Present", records=records) == {}

    def remove(self, *records: dict[str, str]) -> None:
        assert self.call("Remove", records=records) == {}

    def wait(self, *records: dict[str, str], deadline: int = 20) -> dict[str, Any]:
        return self.call("Wait", records=records, deadline=deadline)

    def check(self, *types: tuple[str, str], issuers: tuple[str, ...] = ("ca.test",)) -> dict[str, str]:
        """Severity and message by check and subject."""
        findings = self.call(
            "Check",
            identifiers=[{"type": "dns", "value": name} for name, _ in types],
            types=[kind for _, kind in types],
            issuers=issuers,
            account=ACCOUNT,
        )["findings"]
        return {f"{item['check']} {item['subject']}": f"{item['severity']}: {item['message']}" for item in findings}

    def texts(self, name: str, server: str) -> set[str]:
        answer = self.machine.run(
            ["dig", "+short", "+recurse" if server == RESOLVER else "+norecurse", f"@{server}", name, "TXT"]
        ).stdout
        return {line.strip('"') for line in answer.splitlines()}

    def serial(self, zone: str, server: str) -> str:
        return self.machine.run(["dig", "+short", "+norecurse", f"@{server}", zone, "SOA"]).stdout.split()[2]


def record(identifier: str, value: str = VALUE, type: str = "dns-01") -> dict[str, str]:
    return {"identifier": identifier, "type": type, "account": ACCOUNT, "value": value}


@pytest.fixture(scope="module", params=["machine", "bookworm"])
def servers(request: pytest.FixtureRequest) -> Iterator[Dnsd]:
    machine: Machine = request.getfixturevalue(request.param)
    for name, text in CREDENTIALS.items():
        target = f"/etc/credstore.encrypted/acmed.dns/{name}"
        machine.run(["systemd-creds", "encrypt", f"--name=tsig_{name}", "-", target], input=text)
    with contextlib.ExitStack() as stack:
        stack.callback(
            machine.run, ["sh", "-c", "rm -f /etc/acmed/acmed.toml.d/dnsd.toml /etc/credstore.encrypted/acmed.dns/*"]
        )
        stack.callback(machine.run, ["systemctl", "stop", UNIT])
        bind = stack.enter_context(Bind(machine, "ns1", [BIND, "::1"], AT_BIND, KEYS))
        knot = stack.enter_context(Knot(machine, "ns2", [KNOT], AT_KNOT, KEYS))
        stack.enter_context(Bind(machine, "ns3", [OTHER], AT_OTHER))
        stack.enter_context(Bind(machine, "resolver", [RESOLVER], forward=FORWARD))
        stack.callback(machine.write, "/etc/resolv.conf", machine.read("/etc/resolv.conf"))
        machine.write("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
        machine.run(["systemctl", "stop", UNIT])  # its credentials are those of its start
        yield Dnsd(machine, bind, knot)


@pytest.fixture
def dnsd(servers: Dnsd) -> Dnsd:
    servers.configure()
    return servers


@pytest.mark.parametrize(("zone", "primary", "secondary"), [("bind.test", BIND, KNOT), ("knot.test", KNOT, OTHER)])
@pytest.mark.parametrize("key", ["bind256", "bind384", "bind512", "knot256", "knot384", "a512"])
def test_signed_updates(dnsd: Dnsd, zone: str, primary: str, secondary: str, key: str) -> None:
    dnsd.configure(key=key, ttl=3)
    name = f"_acme-challenge.{zone}"
    others, mine = record(zone, OTHERS), record(zone)
    dnsd.present(others)
    dnsd.present(mine, mine)
    dnsd.present(mine)
    assert dnsd.texts(name, primary) == {OTHERS, VALUE}
    assert dnsd.wait(mine, others) == {"done": True, "detail": ""}
    assert dnsd.texts(name, secondary) == {OTHERS, VALUE}
    answer = dnsd.machine.run(["dig", "+noall", "+answer", f"@{primary}", name, "TXT"]).stdout
    assert {line.split()[1] for line in answer.splitlines()} == {"3"}
    dnsd.remove(mine)
    assert dnsd.texts(name, primary) == {OTHERS}
    dnsd.remove(mine, others)
    assert dnsd.texts(name, primary) == set()


@pytest.mark.parametrize("zone", ["bind.test", "knot.test"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("wrong", "BADSIG; its secret of the key a256. (hmac-sha256) is another one"),
        ("stranger", "no key stranger. (hmac-sha256)|not let the key stranger. do that"),
        ("broken", "the TSIG key broken (credential tsig_broken) is a key clause of BIND whose algorithm is none of"),
        ("none", "systemd-creds encrypt --name=tsig_none"),
        (None, "it does not allow this host's address: set key in [zone."),
    ],
)
def test_wrong_keys(dnsd: Dnsd, zone: str, key: str | None, said: str) -> None:
    dnsd.configure(key=key)
    answer = dnsd.call("Present", records=[record(zone)])
    assert (answer["error"], answer["zone"]) == ("UpdateFailed", zone)
    assert any(one in answer["message"] for one in said.split("|"))
    journal = dnsd.machine.journal(UNIT)
    for secret in (*(key.secret for key in KEYS), STRANGER.secret):
        assert secret not in answer["message"]
        assert secret not in journal


def test_no_key_where_the_address_is_allowed(dnsd: Dnsd) -> None:
    """Over IPv4 only, which is found out."""
    dnsd.present(record("open.test"))
    assert dnsd.texts("_acme-challenge.open.test", BIND) == {VALUE}
    assert "Updates of zone open.test are not signed" in dnsd.machine.journal(UNIT)
    assert dnsd.wait(record("open.test"))["done"]
    assert dnsd.check(("open.test", "dns-01"))["update open.test"].startswith("warning: ")
    dnsd.remove(record("open.test"))


@pytest.mark.parametrize(("zone", "server"), [("policy.test", BIND), ("limited.test", KNOT)])
def test_the_check_finds_out_what_the_key_may_do_and_leaves_nothing(dnsd: Dnsd, zone: str, server: str) -> None:
    """The key may set one name in the zone."""
    before = dnsd.serial(zone, server)
    assert dnsd.check((zone, "dns-01"))[f"update {zone}"].startswith("ok: ")
    refused = dnsd.check((zone, "dns-account-01"))[f"update {zone}"]
    assert refused.startswith("error: ")
    assert "does not let the key a256. do that" in refused
    assert dnsd.serial(zone, server) == before
    assert dnsd.texts(f"_acme-challenge.{zone}", server) == set()
    assert "does not let the key" in dnsd.call("Present", records=[record(zone, type="dns-account-01")])["message"]


def test_cname_into_another_zone(dnsd: Dnsd) -> None:
    alias, own = record("alias.bind.test"), record("bind.test")
    first, second = dnsd.call("Find", records=[alias, own])["places"]
    assert (first["name"], first["zone"], first["method"]) == ("alias.acme.knot.test", "knot.test", "update")
    assert (second["name"], second["zone"]) == ("_acme-challenge.bind.test", "bind.test")
    dnsd.present(alias, own)
    assert dnsd.wait(alias, own)["done"]
    assert dnsd.texts("_acme-challenge.alias.bind.test", RESOLVER) == {"alias.acme.knot.test.", VALUE}
    dnsd.remove(alias, own)
    assert dnsd.texts("alias.acme.knot.test", KNOT) == set()


def test_a_secondary_that_lags_is_named_until_it_has_the_value(dnsd: Dnsd) -> None:
    wanted = record("lag.test")
    dnsd.present(wanted)
    command = dnsd.command("Wait", records=[wanted], deadline=60)
    waiting = dnsd.machine.popen(command, user="acmed")
    assert waiting.stdout
    first = json.loads(waiting.stdout.readline())
    assert first["done"] is False
    assert f"ns2.lag.test ({KNOT}) does not have the value of _acme-challenge.lag.test yet" in first["detail"]
    assert BIND not in first["detail"]
    dnsd.knot.control("zone-refresh", "lag.test")
    rest = [json.loads(line) for line in waiting.communicate()[0].splitlines()]
    assert rest[-1] == {"done": True, "detail": ""}
    dnsd.remove(wanted)


def test_a_secondary_that_lags_for_too_long(dnsd: Dnsd) -> None:
    wanted = record("lag.test", OTHERS)
    dnsd.present(wanted)
    answer = dnsd.wait(wanted, deadline=2)
    assert (answer["error"], answer["name"]) == ("NotPropagated", "_acme-challenge.lag.test")
    assert re.search(
        rf"ns2\.lag\.test \({KNOT}\).*its serial is \d+.*the primary ns1.*it lags behind", answer["message"]
    )
    dnsd.remove(wanted)


def test_a_secondary_that_is_dead(dnsd: Dnsd) -> None:
    wanted = record("bind.test")
    dnsd.knot.stop()
    try:
        dnsd.present(wanted)
        answer = dnsd.wait(wanted, deadline=2)
    finally:
        dnsd.knot.start()
    assert answer["error"] == "NotPropagated"
    assert f"ns2.bind.test ({KNOT}) refuses connections" in answer["message"]
    dnsd.remove(wanted)


def test_a_primary_that_is_dead(dnsd: Dnsd) -> None:
    dnsd.configure(server="127.0.0.98", timeout=2)
    answer = dnsd.call("Present", records=[record("bind.test")])
    assert answer["error"] == "UpdateFailed"
    assert "127.0.0.98 refuses connections" in answer["message"]


def test_a_server_that_fails(dnsd: Dnsd) -> None:
    wanted = record("fail.test")
    dnsd.present(wanted)
    answer = dnsd.wait(wanted, deadline=2)
    assert answer["error"] == "NotPropagated"
    assert f"ns3.fail.test ({OTHER}) answers SERVFAIL" in answer["message"]
    dnsd.configure(propagation="skip")
    assert dnsd.wait(wanted) == {"done": True, "detail": ""}
    dnsd.remove(wanted)


def test_what_this_host_has_no_route_to_is_not_asked(dnsd: Dnsd) -> None:
    wanted = record("far.test")
    dnsd.present(wanted)
    answer = dnsd.wait(wanted)
    assert answer["done"]
    for address in ("192.0.2.99", "2001:db8::99"):
        assert f"ns4.far.test ({address}) cannot be reached from this host" in answer["detail"]
    dnsd.remove(wanted)


def test_the_resolver_fails(dnsd: Dnsd) -> None:
    dnsd.machine.run(["systemctl", "stop", "named-resolver.service"])
    try:
        answer = dnsd.call("Find", records=[record("bind.test")])
    finally:
        Bind(dnsd.machine, "resolver", [RESOLVER], forward=FORWARD).start()
    assert (answer["error"], answer["name"]) == ("LookupFailed", "_acme-challenge.bind.test")
    assert f"_acme-challenge.bind.test CNAME: the resolver {RESOLVER} refuses connections" in answer["message"]


def test_after_sigkill_it_is_removed(dnsd: Dnsd) -> None:
    wanted = record("lag.test", "K" * 43)
    dnsd.present(wanted)
    waiting = dnsd.machine.popen(dnsd.command("Wait", records=[wanted], deadline=60), user="acmed")
    assert waiting.stdout
    assert "does not have the value" in waiting.stdout.readline()
    dnsd.machine.run(["systemctl", "kill", "--signal=KILL", UNIT])
    assert "closed before the answer" in waiting.communicate()[0]
    dnsd.remove(wanted)
    assert dnsd.texts("_acme-challenge.lag.test", BIND) == set()


def test_findings(dnsd: Dnsd) -> None:
    found = dnsd.check(
        ("www.bind.test", "http-01"),
        ("away.bind.test", "tls-alpn-01"),
        ("caa.bind.test", "http-01"),
        ("bind.test", "dns-persist-01"),
    )
    assert found["resolve www.bind.test"] == "ok: 127.0.0.1: of this host"
    assert found["caa www.bind.test"].startswith("ok: there are no CAA records")
    assert found["resolve away.bind.test"].startswith("warning: 192.0.2.1 is not an address of this host")
    assert found["resolve caa.bind.test"].startswith("error: it has no address")
    assert found["caa caa.bind.test"] == "ok: CAA of caa.bind.test allows it"
    assert found["records bind.test"].startswith("error: the record of _validation-persist.bind.test")
    assert dnsd.check(("caa.bind.test", "http-01"), issuers=("other.test",))["caa caa.bind.test"].startswith("error: ")
    lasting = record("bind.test", f"ca.test; accounturi={ACCOUNT}", "dns-persist-01")
    dnsd.present(lasting)
    assert dnsd.wait(lasting)["done"]
    assert dnsd.check(("bind.test", "dns-persist-01"))["records bind.test"].startswith("ok: ")
    dnsd.remove(lasting)


def test_only_for_configured_names_and_only_for_acmed(dnsd: Dnsd) -> None:
    for method in ("Find", "Present"):
        answer = dnsd.call(method, records=[record("other.bind.test")])
        assert answer == {"error": "NotConfigured", "identifier": "other.bind.test"}
    assert "Permission denied" in dnsd.call("Find", user="nobody", records=[])["error"]


def test_it_ends_when_idle_and_has_no_defects(dnsd: Dnsd) -> None:
    machine = dnsd.machine
    dnsd.call("Find", records=[])
    state = ["systemctl", "show", "--property=ActiveState", "--value", UNIT]
    machine.wait_until("acme-dnsd to be idle", lambda: machine.run(state).stdout == "inactive\n", timeout=40)
    assert "Traceback" not in machine.journal(UNIT)
    assert " failed: " not in machine.journal(UNIT)
    answer = machine.run(["systemd-analyze", "security", "--no-pager", UNIT]).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", answer)
    assert found
    assert float(found[1]) <= 1.3
