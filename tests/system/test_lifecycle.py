# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate's life on the real bus, with busctl and with acmectl: from its order to the end of its management."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmed import __version__
from tests.machine import Machine, Pebble
from tests.system import busctl, introspection
from tests.system.acmectl import Acmectl
from tests.system.authority import ca_status
from tests.system.busctl import BusError, Caller, Monitor, certificate_path, forget_all, job_path, monitor
from tests.system.installed import check_installed
from tests.system.standstill import frozen_ca

PREFIX = "lifecycle-"


@pytest.fixture(autouse=True)
def tidy(machine: Machine, account: str) -> Iterator[None]:
    """No certificate and no job of a test is left for the next."""
    yield
    forget_all(Caller(machine), PREFIX)


XML = Path(__file__).parents[2] / "dbus" / "org.acmed1.xml"
INSTALLED_XML = "/usr/share/dbus-1/interfaces/org.acmed1.xml"
STANDARD = {"org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable"}
STEPS = ["waiting", "order", "authorize", "challenge", "finalize", "download", "install", "reload"]


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
