# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate's life on the real bus, with busctl and with acmectl: from its order to the end of its management."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmed import __version__
from tests.machine import Machine, Pebble, package
from tests.machine.pebble import Profile
from tests.system import busctl, introspection
from tests.system.acmectl import Acmectl, running
from tests.system.busctl import BusError, Caller, Monitor, certificate_path, job_path, monitor
from tests.system.conftest import add_account
from tests.system.lease import state, wait_closed
from tests.system.standstill import frozen_ca, silent_host
from tests.system.timer import run_timer

XML = Path(__file__).parents[2] / "dbus" / "org.acmed1.xml"
INSTALLED_XML = "/usr/share/dbus-1/interfaces/org.acmed1.xml"
PREFIX = "lifecycle-"
STANDARD = {"org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable"}
DAEMONS = ("acmed", "acme-privd", "acme-clientd", "acme-keyd", "acme-verify", "acme-http01")
STEPS = ["waiting", "order", "authorize", "challenge", "finalize", "download", "install", "reload"]

# What Pebble's certificates of this profile are: due soon enough to wait for, and not before they are looked at.
SHORT = {"short": Profile("Certificates that are due soon", validity=24)}

# A service whose reload fails for as long as a file is there.
VICTIM = """
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/usr/bin/test ! -e /run/victim-fails
"""
CONFIGURATION = """
[service.victim]
units = ["victim.service"]
"""


@pytest.fixture(scope="module")
def own(debs: list[Path]) -> Iterator[Machine]:
    """A machine of this module alone: it is rebooted, and nothing but what a test does happens there."""
    with Machine() as own:
        package.install(own, debs)
        yield own


@pytest.fixture(scope="module")
def own_pebble(own: Machine) -> Iterator[Pebble]:
    """Its CA, and an account there."""
    with Pebble(own) as pebble:
        add_account(own, pebble)
        yield pebble


@pytest.fixture
def root(machine: Machine) -> Caller:
    return Caller(machine)


@pytest.fixture
def ctl(machine: Machine) -> Acmectl:
    return Acmectl(machine)


@pytest.fixture(autouse=True)
def tidy(machine: Machine, account: str) -> Iterator[None]:
    """No certificate and no job of a test is left for the next."""
    yield
    root = Caller(machine)
    for number, name in root.jobs().items():
        if name.startswith(PREFIX):
            with contextlib.suppress(BusError):  # it has ended, or is about to
                root.call(job_path(number), busctl.JOB, "Cancel")
    machine.wait_until("the jobs to end", lambda: not any(name.startswith(PREFIX) for name in root.jobs().values()))
    for name, *_ in root.manager("ListCertificates")[0]:
        if name.startswith(PREFIX):
            root.call(certificate_path(name), busctl.CERTIFICATE, "Forget")


def check_installed(machine: Machine, pebble: Pebble, name: str, *identifiers: str) -> None:
    """The files in /var/lib/acme are whole, fit each other, and are for these names and from this CA."""
    directory = f"/var/lib/acme/{name}"
    machine.write("/run/lifecycle/root.pem", pebble.root_pem())
    for identifier in identifiers:
        verify = ["openssl", "verify", "-CAfile", "/run/lifecycle/root.pem", "-untrusted", f"{directory}/chain.pem"]
        verify += ["-no_check_time"]  # it may live for seconds
        machine.run([*verify, "-verify_hostname", identifier, f"{directory}/cert.pem"])
    of_key = machine.run(["openssl", "pkey", "-in", f"{directory}/privkey.pem", "-pubout"]).stdout
    of_certificate = machine.run(["openssl", "x509", "-in", f"{directory}/cert.pem", "-noout", "-pubkey"]).stdout
    assert of_key == of_certificate
    whole = machine.read(f"{directory}/cert.pem") + machine.read(f"{directory}/chain.pem")
    assert machine.read(f"{directory}/fullchain.pem") == whole


def ca_status(machine: Machine, pebble: Pebble, serial: str) -> dict[str, object]:
    """What the CA says of a certificate."""
    url = f"{pebble.management}/cert-status-by-serial/{serial}"
    answer = machine.run(["curl", "--silent", "--fail", "--cacert", pebble.ca_file, url]).stdout
    status: dict[str, object] = json.loads(answer)
    return status


def is_due(root: Caller, name: str) -> bool:
    return root.certificate(name)["State"] in ("due", "expired")


# A machine of its own, in the order of its life: each test begins where the one before it ended.


def test_timer_is_there_and_has_a_next_time(own: Machine) -> None:
    assert own.run(["systemctl", "is-enabled", "acme-renew.timer"]).stdout == "enabled\n"
    assert state(own, "acme-renew.timer") == "active"
    timers = json.loads(own.run(["systemctl", "list-timers", "--output=json", "acme-renew.timer"]).stdout)
    assert timers[0]["activates"] == "acme-renew.service"
    assert timers[0]["next"]


def test_configuration_is_checked(own: Machine, own_pebble: Pebble) -> None:
    ctl, broken = Acmectl(own), "/etc/acmed/certificates.d/broken.example.com.toml"
    assert "No problems." in ctl.text("config", "check")
    own.write(broken, 'names = ["broken.example.com"]\nkey-tpye = "rsa-2048"\n')
    try:
        found = ctl.text("config", "check", code=1)
        assert f"{broken}:2: " in found
        assert "key-tpye" in found
        assert "key-type" in found
        (problem,) = ctl.json("config", "check", code=1)["problems"]
        assert (problem["file"], problem["line"], problem["note"]) == (broken, 2, False)
        assert [path for path, *_ in Caller(own).manager("CheckConfiguration")[0]] == [broken]
        assert ctl.json("status", "broken.example.com", code=1)["state"] == "failing"
        assert ctl.json("account", "list")[0]["name"] == "default"
    finally:
        own.run(["rm", broken])
    assert ctl.json("config", "check") == {"problems": []}
    assert ctl.json("list") == []


def test_run_of_the_timer_with_nothing_due_says_nothing(own: Machine, own_pebble: Pebble) -> None:
    ctl = Acmectl(own)
    assert run_timer(own) == ""
    ctl.run("order", "kept.example.com")
    assert run_timer(own) == ""  # the CA is asked when it wants it to be renewed
    before = ctl.json("status", "kept.example.com")
    assert before["state"] == "valid"
    assert ctl.run("renew", "--due").stdout == ctl.run("renew", "--due").stderr == ""
    assert ctl.json("status", "kept.example.com") == before


def test_timer_delivers_what_is_owed_to_a_service(own: Machine, own_pebble: Pebble) -> None:
    ctl, name = Acmectl(own), "owed.example.com"
    own.write("/run/systemd/system/victim.service", VICTIM)
    own.write("/etc/acmed/acmed.toml.d/victim.toml", CONFIGURATION)
    own.write("/run/victim-fails", "")
    own.run(["systemctl", "daemon-reload"])
    own.run(["systemctl", "start", "victim.service"])
    ctl.run("order", name, "--service", "victim", code=8)
    status = ctl.json("status", name, code=8)
    assert status["state"] == "valid"
    assert [owed["service"] for owed in status["undelivered"]] == ["victim"]
    assert "victim" in ctl.text("status", code=8)
    own.run(["rm", "/run/victim-fails"])
    assert f"{name}: delivered" in run_timer(own)
    status = ctl.json("status", name)
    assert (status["undelivered"], status["lastError"]) == ([], None)
    ctl.run("forget", name)
    own.run(["rm", "/etc/acmed/acmed.toml.d/victim.toml"])


def test_timer_renews_what_is_due_and_nothing_else(own: Machine, own_pebble: Pebble) -> None:
    ctl, root = Acmectl(own), Caller(own)
    own_pebble.profiles = SHORT
    own_pebble.restart()
    add_account(own, own_pebble)
    ctl.run("order", "short.example.com", "also.short.example.com")
    kept, short = root.certificate("kept.example.com"), root.certificate("short.example.com")
    own.wait_until("it to be due", lambda: is_due(root, "short.example.com"), timeout=60)
    assert root.properties(busctl.ROOT, busctl.MANAGER)["NextRenewal"]
    said = run_timer(own)
    assert root.certificate("short.example.com")["SerialNumber"] != short["SerialNumber"]
    check_installed(own, own_pebble, "short.example.com", "short.example.com", "also.short.example.com")
    assert root.certificate("kept.example.com") == kept
    assert "short.example.com" in said
    assert "kept.example.com" not in said


def test_state_survives_a_restart_of_the_machine(own: Machine, own_pebble: Pebble) -> None:
    ctl, root = Acmectl(own), Caller(own)
    ctl.run("order", "blocked-domain.example", "--name", "failing.example.com", code=1)
    ctl.run("order", "gone.example.com")
    ctl.run("revoke", "gone.example.com", "--no-replace")
    own.wait_until("it to be due", lambda: is_due(root, "short.example.com"), timeout=60)
    before, accounts, last = (
        root.objects(),
        ctl.json("account", "list"),
        root.order("last.example.com", "a.example.com"),
    )
    own.wait_until("the job to end", lambda: not root.jobs())
    root.call(certificate_path("last.example.com"), busctl.CERTIFICATE, "Forget")
    own.reboot()
    assert state(own, "acmed.service") == "inactive"
    after = root.objects()
    for values in (before, after):  # whose time may have come meanwhile
        del values[certificate_path("short.example.com")][busctl.CERTIFICATE]["State"]
    assert after == before
    states = {one["name"]: one["state"] for one in ctl.json("list")}
    assert states["kept.example.com"] == "valid"
    assert states["short.example.com"] in ("due", "expired")
    assert (states["failing.example.com"], states["gone.example.com"]) == ("failing", "revoked")
    assert ctl.json("account", "list") == accounts
    for name in ("failing.example.com", "gone.example.com"):
        ctl.run("forget", name)
    own_pebble.start()
    add_account(own, own_pebble)
    short = root.certificate("short.example.com")
    own.run(["systemctl", "start", "acme-renew.service"])
    assert root.certificate("short.example.com")["SerialNumber"] != short["SerialNumber"]
    assert root.order("next.example.com", "next.example.com") > last
    own.wait_until("the job to end", lambda: not root.jobs())
    assert root.certificate("next.example.com")["State"] == "valid"


# The machine of all tests.


@pytest.mark.parametrize("tool", ["acmectl", "busctl"])
def test_order_renew_and_revoke(machine: Machine, pebble: Pebble, tool: str) -> None:
    root, name = Caller(machine), f"{PREFIX}{tool}.example.com"
    identifiers = [name, f"www.{name}"]
    with monitor(machine) as seen:
        do = with_acmectl if tool == "acmectl" else with_busctl
        do(machine, seen, "order", name, *identifiers)
        first = root.certificate(name)
        assert (first["State"], first["Identifiers"], first["Account"]) == ("valid", identifiers, "default")
        assert first["NotBefore"] < first["RenewAt"] < first["NotAfter"]
        check_installed(machine, pebble, name, *identifiers)
        do(machine, seen, "renew", name)
        second = root.certificate(name)
        assert second["State"] == "valid"
        assert second["SerialNumber"] != first["SerialNumber"]
        assert second["FingerprintSHA256"] != first["FingerprintSHA256"]
        check_installed(machine, pebble, name, *identifiers)
        assert ca_status(machine, pebble, second["SerialNumber"])["Status"] == "Valid"
        do(machine, seen, "revoke", name)
        assert root.certificate(name)["State"] == "revoked"
        told = ca_status(machine, pebble, second["SerialNumber"])
        assert (told["Status"], told["Reason"]) == ("Revoked", 4)
        assert ca_status(machine, pebble, first["SerialNumber"])["Status"] == "Valid"
        states = [change["State"] for change in seen.changes(certificate_path(name)) if "State" in change]
    assert states == ["valid", "revoked"]


def with_acmectl(machine: Machine, _: Monitor, verb: str, name: str, *identifiers: str) -> None:
    """Does it, and looks at what is printed."""
    ctl = Acmectl(machine)
    match verb:
        case "order":
            result = ctl.run("order", *identifiers)
            assert f"{name}: issued, valid until" in result.stdout
            assert f"/var/lib/acme/{name}/fullchain.pem" in result.stdout
            assert f"{name}: creating the order (5%)" in result.stderr
        case "renew":
            assert "org.acmed1.Error.NotDue" in ctl.error("renew", name, code=6)
            (job,) = ctl.json("renew", name, "--force")["jobs"]
            assert (job["name"], job["result"], job["error"], job["state"]) == (name, "done", None, "valid")
        case "revoke":
            assert f"{name}: revoked" in ctl.text("revoke", name, "--reason", "superseded", "--no-replace")


def with_busctl(machine: Machine, seen: Monitor, verb: str, name: str, *identifiers: str) -> None:
    """Does it, and waits for JobRemoved."""
    root, path = Caller(machine), certificate_path(name)
    match verb:
        case "order":
            answer = root.manager("Order", "sasa{sv}", "", str(len(identifiers)), *identifiers, "0")
            assert answer == [path, answer[1], job_path(answer[1])]
            number = answer[1]
        case "renew":
            with pytest.raises(BusError) as refused:
                root.call(path, busctl.CERTIFICATE, "Renew", "a{sv}", "0")
            assert refused.value.name == "org.acmed1.Error.NotDue"
            number, _ = root.call(path, busctl.CERTIFICATE, "Renew", "a{sv}", "1", "force", "b", "true")
        case _:
            number, _ = root.call(path, busctl.CERTIFICATE, "Revoke", "ua{sv}", "4", "1", "replace", "b", "false")
    assert seen.removed(number) == "done"


def test_new_key_on_demand_only(machine: Machine, ctl: Acmectl) -> None:
    name = f"{PREFIX}key.example.com"

    def public_key() -> str:
        return machine.run(["openssl", "pkey", "-in", f"/var/lib/acme/{name}/privkey.pem", "-pubout"]).stdout

    ctl.run("order", name, "--key-type", "rsa-2048")
    assert ctl.json("status", name)["keyType"] == "rsa-2048"
    first = public_key()
    ctl.run("renew", name, "--force", "--new-key")
    assert public_key() != first


def test_progress_and_objects_are_told(machine: Machine, root: Caller) -> None:
    name = f"{PREFIX}progress.example.com"
    path = certificate_path(name)
    with monitor(machine) as seen:
        number = root.order(name, name, f"b.{name}")
        assert seen.removed(number) == "done"
        root.call(path, busctl.CERTIFICATE, "Forget")
        machine.wait_until("the object to go", lambda: seen.seen("InterfacesRemoved", path))
        job = job_path(number)
        ((_, added),) = seen.seen("InterfacesAdded", job)
        changes = seen.changes(job)
        assert seen.seen("InterfacesRemoved", job) == [[job, [busctl.JOB]]]
        assert [body[1].keys() for body in seen.seen("InterfacesAdded", path)] == [{busctl.CERTIFICATE}]
        assert seen.seen("InterfacesRemoved", path) == [[path, [busctl.CERTIFICATE]]]
        members = [signal.member for signal in seen.signals if [number, job, name] == signal.body[:3]]
        of_certificate = seen.changes(path)
    first = added[busctl.JOB]
    assert (first["Id"], first["Type"], first["Certificate"], first["StartedByUID"]) == (
        number,
        "order",
        [name, path],
        0,
    )
    steps = [first["Step"], *(change["Step"] for change in changes if "Step" in change)]
    assert steps == sorted(steps, key=STEPS.index)
    assert {"order", "authorize", "challenge", "finalize", "install"} <= set(steps)
    progress = [first["Progress"], *(change["Progress"] for change in changes if "Progress" in change)]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1] >= 85) == (0, True)
    challenges = [change["Challenges"] for change in changes if "Challenges" in change]
    assert {(identifier, kind) for row in challenges for identifier, kind, _ in row} == {
        (name, "http-01"),
        (f"b.{name}", "http-01"),
    }
    assert {status for row in challenges for _, _, status in row} >= {"pending", "valid"}
    assert members == ["JobNew", "JobRemoved"]
    assert [change["Job"] for change in of_certificate if "Job" in change] == [[number, job], [0, "/"]]
    assert [change["State"] for change in of_certificate if "State" in change] == ["valid"]


def test_introspection_is_what_the_file_says(machine: Machine, root: Caller) -> None:
    name = f"{PREFIX}introspect.example.com"
    assert machine.read(INSTALLED_XML) == XML.read_text()
    declared = introspection.interfaces(XML.read_text())
    with frozen_ca(machine):
        number = root.order(name, name)
        objects = root.objects()
        manager = root.introspect(busctl.ROOT)
        assert introspection.interfaces(manager).keys() == {
            busctl.MANAGER,
            busctl.PROPERTIES,
            busctl.OBJECT_MANAGER,
            *STANDARD,
        }
        assert introspection.interfaces(manager)[busctl.MANAGER] == declared[busctl.MANAGER]
        assert {job_path(number), certificate_path(name), f"{busctl.ROOT}/account/default"} <= objects.keys()
        for path, told in objects.items():
            (interface,) = told
            live = introspection.interfaces(root.introspect(path))
            assert live.keys() == {interface, busctl.PROPERTIES, *STANDARD}
            assert live[interface] == declared[interface]
            assert told[interface].keys() == declared[interface]["properties"].keys()
        assert {interface for told in objects.values() for interface in told} | {busctl.MANAGER} == declared.keys()
        assert walk(root, "/") == {*objects, busctl.ROOT, busctl.LOG_CONTROL_PATH}
        root.call(job_path(number), busctl.JOB, "Cancel")


def walk(root: Caller, path: str) -> set[str]:
    """The objects at and below a path that have properties, as introspection alone leads to them."""
    xml = root.introspect(path)
    found = {path} if busctl.PROPERTIES in introspection.interfaces(xml) else set()
    return found.union(*(walk(root, f"{path.rstrip('/')}/{child}") for child in introspection.children(xml)))


@pytest.mark.parametrize(
    ("identifier", "error"),
    [
        ("blocked-domain.example", "org.acmed1.AcmeError.rejectedIdentifier"),
        (f"{PREFIX}unreachable.example.com", "org.acmed1.AcmeError.connection"),
    ],
)
def test_job_that_fails(
    machine: Machine, pebble: Pebble, root: Caller, ctl: Acmectl, identifier: str, error: str
) -> None:
    name = f"{PREFIX}fails.example.com"
    pebble.dns("add-a", host=f"{PREFIX}unreachable.example.com.", addresses=["203.0.113.1"])
    with monitor(machine) as seen:
        number = root.order(name, identifier)
        assert seen.removed(number) == "failed"
        assert seen.changes(job_path(number))[-1]["Error"][0] == error
    after = root.certificate(name)
    assert (after["State"], after["Failures"], after["LastError"][0]) == ("failing", 1, error)
    assert identifier in after["LastError"][1]
    wait_closed(machine)
    (job,) = ctl.json("order", "--name", name, code=1)["jobs"]
    assert (job["result"], job["error"]["name"]) == ("failed", error)
    status = ctl.text("status", name, code=1)
    assert "failing, 2 failures in a row" in status
    assert error in status
    assert "To do: " in status


def test_job_that_is_canceled_while_the_ca_validates(machine: Machine, pebble: Pebble, root: Caller) -> None:
    name, ctl = f"{PREFIX}canceled.example.com", Acmectl(machine)
    with silent_host(machine, pebble, name), monitor(machine) as seen, running(machine, "order", name) as order:
        machine.wait_until(
            "the CA to be asked to validate", lambda: [job for job in ctl.json("jobs") if job["step"] == "challenge"]
        )
        (job,) = ctl.json("jobs")
        assert (job["type"], job["certificate"], job["startedByUID"]) == ("order", name, 0)
        assert machine.run(["ss", "--no-header", "-ltn", "sport = :80"]).stdout
        assert name in machine.read("/run/acme-keyd/permits.json")
        assert ctl.json("cancel", str(job["id"])) == {"canceled": job["id"]}
        assert seen.removed(job["id"]) == "canceled"
        code, output = order.end()
    assert code == 1
    assert f"{name}: was canceled" in output
    after = root.certificate(name)
    assert (after["State"], after["Failures"], after["LastError"]) == ("missing", 0, ["", ""])
    wait_closed(machine)
    assert machine.run(["ls", "/run/acmed/http01"]).stdout == ""
    assert name not in machine.read("/run/acme-keyd/permits.json")
    assert ctl.error("cancel", str(job["id"]), code=4)


def test_two_callers_at_once(machine: Machine, root: Caller, ctl: Acmectl) -> None:
    names = [f"{PREFIX}one.example.com", f"{PREFIX}two.example.com"]
    with (
        monitor(machine) as seen,
        frozen_ca(machine),
        running(machine, "order", names[0]) as one,
        running(machine, "order", names[1]) as two,
    ):
        machine.wait_until(
            "both to wait for the CA",
            lambda: sorted(job["step"] for job in ctl.json("jobs")) == ["authorize", "authorize"],
        )
        assert sorted(root.jobs().values()) == names
        for member, *arguments in (("Renew", "a{sv}", "0"), ("Forget",)):
            with pytest.raises(BusError) as refused:
                root.call(certificate_path(names[0]), busctl.CERTIFICATE, member, *arguments)
            assert refused.value.name == "org.acmed1.Error.Busy"
        with pytest.raises(BusError) as refused:
            root.order(names[0], names[0])
        assert refused.value.name == "org.acmed1.Error.Busy"
        assert "org.acmed1.Error.Busy" in ctl.error("order", names[0], code=6)
        numbers = sorted(root.jobs())
        machine.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])
        assert [one.end()[0], two.end()[0]] == [0, 0]
        assert [seen.removed(number) for number in numbers] == ["done", "done"]
    assert [root.certificate(name)["State"] for name in names] == ["valid", "valid"]


def test_job_goes_on_when_acmectl_is_interrupted_and_when_acmed_is_restarted(machine: Machine, root: Caller) -> None:
    names = [f"{PREFIX}interrupted.example.com", f"{PREFIX}restarted.example.com"]
    with monitor(machine) as seen:
        with (
            frozen_ca(machine),
            running(machine, "order", names[0]) as interrupted,
            running(machine, "order", names[1]) as restarted,
        ):
            machine.wait_until("both jobs to run", lambda: sorted(root.jobs().values()) == names)
            numbers = root.jobs()
            interrupted.interrupt()
            code, output = interrupted.end()
            assert code == 130
            assert "goes on" in output
            machine.run(["systemctl", "restart", "acmed.service"])
            assert root.jobs() == numbers
            machine.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])
            assert restarted.end()[0] == 0
        assert [seen.removed(number) for number in numbers] == ["done", "done"]
    assert [root.certificate(name)["State"] for name in names] == ["valid", "valid"]


def test_watch_tells_what_happens(machine: Machine, root: Caller, ctl: Acmectl) -> None:
    name, other = f"{PREFIX}watched.example.com", f"{PREFIX}held.example.com"
    with frozen_ca(machine):
        held = root.order(other, other)
        with running(machine, "watch", "--json") as watch:
            first = json.loads(watch.line())  # of the job that runs already: from now on it sees all
            assert (first["event"], first["id"], first["certificate"]) == ("job-step", held, other)
            machine.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])
            ctl.run("order", name)
            ctl.run("forget", name)
            events: list[dict[str, Any]] = []
            while not events or (events[-1]["event"], events[-1].get("name")) != ("certificate-removed", name):
                events.append(json.loads(watch.line()))
            watch.interrupt()
            assert watch.end()[0] == 0
    events = [event for event in events if name in (event.get("name"), event.get("certificate"))]
    number = events[1]["job"]
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", event["time"]) for event in events)
    assert [event["event"] for event in events if "changed" not in event and event["event"] != "job-step"] == [
        "certificate-added",
        "job-new",
        "job-removed",
        "certificate-removed",
    ]
    assert [event["result"] for event in events if "result" in event] == ["done"]
    assert {event["id"] for event in events if event["event"] == "job-step"} == {number}
    assert any("State" in event["changed"] for event in events if event["event"] == "certificate-changed")


def test_reading_commands_show_what_the_bus_has(machine: Machine, root: Caller, ctl: Acmectl, account: str) -> None:
    name = f"{PREFIX}read.example.com"
    ctl.run("order", name)
    there = root.certificate(name)
    shown = ctl.json("status", name)
    assert shown in ctl.json("list")
    assert shown in ctl.json("status", code=code_of_all(ctl))["certificates"]
    assert shown["paths"] == there["Paths"] == {kind: f"/var/lib/acme/{name}/{kind}.pem" for kind in there["Paths"]}
    for key, member in {"name": "Name", "identifiers": "Identifiers", "account": "Account", "state": "State"}.items():
        assert shown[key] == there[member]
    assert (shown["serialNumber"], shown["issuer"]) == (there["SerialNumber"], there["Issuer"])
    assert json.loads(root.call(certificate_path(name), busctl.CERTIFICATE, "Describe")[0]) == there
    assert root.manager("GetCertificate", "s", name) == [certificate_path(name)]
    assert [name, [name], there["NotAfter"], certificate_path(name)] in root.manager("ListCertificates")[0]
    assert re.search(rf"^{re.escape(name)} +valid ", ctl.text("list"), re.MULTILINE)
    assert re.search(rf"Serial number: {there['SerialNumber']}\n", ctl.text("status", name))
    assert root.properties(busctl.ROOT, busctl.MANAGER)["Version"] == __version__
    assert __version__ in ctl.text("status", code=code_of_all(ctl))
    assert ctl.json("jobs") == []
    of_account = ctl.json("account", "show", account)
    assert of_account in ctl.json("account", "list")
    assert of_account == ctl.json("account", "show")
    assert of_account["uri"] in ctl.text("account", "show")
    assert account in ctl.text("account", "list")
    properties = root.properties(f"{busctl.ROOT}/account/{account}", busctl.ACCOUNT)
    assert (of_account["directory"], of_account["uri"]) == (properties["Directory"], properties["URI"])
    forgotten = ctl.json("forget", name)
    assert forgotten == {"forgotten": name, "paths": shown["paths"]}
    assert all(machine.read(path) for path in shown["paths"].values())
    assert name not in ctl.text("list")


def code_of_all(ctl: Acmectl) -> int:
    """The exit code of `status`: others of this machine's certificates may not be well."""
    return ctl.machine.run(["acmectl", "status", "--quiet"], check=False).returncode


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("order", 2),
        ("order not_a_name", 2),
        ("order x.example.com --service ngnix", 2),
        ("order x.example.com --account nobody", 4),
        ("order --name nothing.example.com", 4),
        ("renew nothing.example.com", 4),
        ("revoke nothing.example.com", 4),
        ("revoke nothing.example.com --reason boredom", 2),
        ("forget nothing.example.com", 4),
        ("status nothing.example.com", 4),
        ("account show nobody", 4),
        ("cancel 999999", 4),
        ("account add --directory http://localhost/ --agree-tos", 2),
    ],
)
def test_exit_code_of_a_mistake(ctl: Acmectl, line: str, code: int) -> None:
    said = ctl.error(*line.split(), code=code)
    assert said
    assert "Traceback" not in said


def test_exit_code_where_acmed_or_the_bus_is_out_of_reach(machine: Machine, ctl: Acmectl) -> None:
    nowhere = machine.run(["acmectl", "list"], check=False, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/nothing"})
    assert (nowhere.returncode, nowhere.stdout) == (5, "")
    machine.run(["systemctl", "mask", "--runtime", "--now", "acmed.service"])
    try:
        assert "acmectl: " in ctl.error("list", code=5)
    finally:
        machine.run(["systemctl", "unmask", "--runtime", "acmed.service"])
    ctl.run("list")


def test_exit_code_when_nobody_reads(machine: Machine) -> None:
    program = (
        "import os, subprocess; r, w = os.pipe(); os.close(r); exit(subprocess.call(['acmectl', 'list'], stdout=w))"
    )
    result = machine.run(["python3", "-c", program], check=False)
    assert (result.returncode, result.stderr) == (141, "")


# At last, when everything has been still for long.


def test_idle_host_has_no_process_of_ours_and_a_call_starts_acmed(own: Machine, own_pebble: Pebble) -> None:
    root = Caller(own)
    own.write("/etc/acmed/certificates.d/idle.example.com.toml", 'names = ["idle.example.com"]\n')
    own.wait_until(
        "all daemons to end",
        lambda: all(state(own, f"{name}.service") == "inactive" for name in DAEMONS),
        timeout=60,
    )
    processes = own.run(["ps", "-eo", "user:20,args"]).stdout
    assert not re.search(r"^acme|acmed|acmectl|acme-", processes, re.MULTILINE), processes
    active = own.run(["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "acme*"]).stdout
    assert {line.split()[0].rpartition(".")[2] for line in active.splitlines()} <= {"socket", "timer"}
    assert root.manager("GetCertificate", "s", "idle.example.com") == [certificate_path("idle.example.com")]
    assert state(own, "acmed.service") == "active"
