# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: with the real polkitd, on both message buses."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bus.peers import certificate, der, request
from tests.machine import Machine, Pebble, package
from tests.system import busctl
from tests.system.acmectl import Acmectl
from tests.system.busctl import BusError, Caller, certificate_path, job_path, monitor
from tests.system.conftest import add_account
from tests.system.lease import state
from tests.system.people import ADMIN, PLAIN, WEBMASTER, Terminal, people
from tests.system.polkit import Polkit
from tests.system.standstill import frozen_ca
from tests.unit.test_documentation import table_rows, text

XML = Path(__file__).parents[2] / "dbus" / "org.acmed1.xml"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
PASSWORD_NEEDED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
READ_ONLY = "org.freedesktop.DBus.Error.PropertyReadOnly"

PREFIX = "polkit-"
ONE = f"{PREFIX}one.example.com"
"""The certificate that a rule is about."""
OTHER = f"{PREFIX}other.example.com"
HELD = f"{PREFIX}held.example.com"
"""Its service has not got it."""
HELD_TOO = f"{PREFIX}held-too.example.com"
NEW = f"{PREFIX}new.example.com"

# A service whose reload fails, or waits, for as long as a file is there.
UNIT = """
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'test ! -e /run/polkit-fails && while test -e /run/polkit-waits; do sleep 0.05; done'
"""
CONFIGURATION = """
[service.polkit]
units = ["polkit-victim.service"]
"""
FOREIGN = der(certificate(["foreign.example.com"]))
NO_RULE = """
polkit.addRule(function(action, subject) {
    if (action.id == "org.acmed1.reload")
        return polkit.Result.NO;
});
"""


@dataclass(frozen=True)
class Attempt:
    """A call. path is that of the object; of a job, it is known when it runs."""

    path: str
    signature: str = ""
    arguments: tuple[str, ...] = ()


DEFAULT = f"{busctl.ROOT}/account/default"


def octets(data: bytes) -> tuple[str, ...]:
    """An ay as busctl(1) wants it."""
    return str(len(data)), *map(str, data)


# Each method of org.acmed1(5)'s table of permissions, with arguments that make acmed ask about every detail.
CHANGES = {
    "Manager.Order": Attempt(
        busctl.ROOT,
        "sasa{sv}",
        (NEW, "2", NEW, f"www.{NEW}", "2", "key-type", "s", "ecdsa-p384", "services", "as", "1", "nginx"),
    ),
    "Manager.OrderCSR": Attempt(
        busctl.ROOT, "saya{sv}", (NEW, *octets(request([NEW])), "1", "services", "as", "1", "nginx")
    ),
    "Manager.Authorize": Attempt(busctl.ROOT, "asa{sv}", ("2", NEW, f"www.{NEW}", "0")),
    "Manager.RevokeOther": Attempt(busctl.ROOT, "ayua{sv}", (*octets(FOREIGN), "1", "0")),
    "Manager.AddAccount": Attempt(
        busctl.ROOT, "sa{sv}", ("new", "2", "directory", "s", "https://ca.test/dir", "agree-tos", "b", "true")
    ),
    "Manager.RenewDue": Attempt(busctl.ROOT, "t", ("0",)),
    "Manager.Reload": Attempt(busctl.ROOT),
    "Certificate.Renew": Attempt(certificate_path(ONE), "a{sv}", ("1", "force", "b", "true")),
    "Certificate.Revoke": Attempt(certificate_path(ONE), "ua{sv}", ("4", "0")),
    "Certificate.Restore": Attempt(certificate_path(ONE), "a{sv}", ("0",)),
    "Certificate.Check": Attempt(certificate_path(ONE), "a{sv}", ("0",)),
    "Certificate.Forget": Attempt(certificate_path(ONE)),
    "Account.Update": Attempt(DEFAULT, "a{sv}", ("1", "contact", "as", "1", "new@example.com")),
    "Account.Deactivate": Attempt(DEFAULT, "a{sv}", ("0",)),
    "Account.RolloverKey": Attempt(DEFAULT, "a{sv}", ("0",)),
}
# Those that are about a certificate's renewal: who may renew it may do all of it.
RENEWALS = ("Certificate.Renew", "Certificate.Restore", "Certificate.Check")
_TYPES = ("order", "authorize", "renew", "deliver", "restore", "revoke", "account")
CANCELS = {f"Job.Cancel ({kind})": kind for kind in _TYPES}
READS = {
    "Manager.GetCertificate": Attempt(busctl.ROOT, "s", (ONE,)),
    "Manager.ListCertificates": Attempt(busctl.ROOT),
    "Manager.ListJobs": Attempt(busctl.ROOT),
    "Manager.CheckConfiguration": Attempt(busctl.ROOT),
    "Certificate.Describe": Attempt(certificate_path(ONE)),
    "Certificate.ListRecords": Attempt(certificate_path(ONE), "a{sv}", ("0",)),
    "Account.Describe": Attempt(DEFAULT),
}


def permissions() -> dict[str, tuple[str, set[str]]]:
    """Action and details by method, from org.acmed1(5)."""
    rows = table_rows(text("man/org.acmed1.5"))
    return {method: (action, set(details.replace(",", " ").split()) - {"-"}) for method, action, details in rows}


def attempt(caller: Caller, method: str, it: Attempt, interactive: bool = True) -> None:
    """Raises BusError."""
    interface, _, member = method.partition(" ")[0].partition(".")
    caller.call(it.path, f"org.acmed1.{interface}", member, it.signature, *it.arguments, interactive=interactive)


@pytest.fixture(scope="module", params=["dbus-daemon", "dbus-broker"])
def host(request: pytest.FixtureRequest, debs: list[Path]) -> Iterator[Machine]:
    """A machine with this message bus, people, and three certificates."""
    with contextlib.ExitStack() as stack:
        if request.param == "dbus-daemon":
            host: Machine = request.getfixturevalue("machine")
            request.getfixturevalue("account")
        else:
            host = stack.enter_context(Machine())
            package.install_at_rest(host, debs)
            host.run(["systemctl", "enable", "dbus-broker.service"])
            host.reboot()
            add_account(host, stack.enter_context(Pebble(host)))
        assert host.run(["systemctl", "show", "--property=Id", "--value", "dbus.service"]).stdout.startswith(
            "dbus-broker" if request.param == "dbus-broker" else "dbus.service"
        )
        stack.enter_context(people(host))
        stack.enter_context(certificates(host))
        yield host


@contextlib.contextmanager
def certificates(host: Machine) -> Iterator[None]:
    """What the calls are about."""
    ctl = Acmectl(host)
    host.write("/run/systemd/system/polkit-victim.service", UNIT)
    host.write("/etc/acmed/acmed.toml.d/polkit.toml", CONFIGURATION)
    host.write("/run/polkit-fails", "")
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "start", "polkit-victim.service"])
    try:
        ctl.run("order", ONE)
        ctl.run("order", OTHER)
        for name in (HELD, HELD_TOO):
            ctl.run("order", name, "--service", "polkit", code=8)
        yield
    finally:
        for name, *_ in Caller(host).manager("ListCertificates")[0]:
            if name.startswith(PREFIX):
                ctl.run("forget", name)
        host.run(["systemctl", "stop", "polkit-victim.service"])
        host.run(["rm", "-f", "/run/polkit-fails", "/etc/acmed/acmed.toml.d/polkit.toml"])
        host.run(["rm", "/run/systemd/system/polkit-victim.service"])
        host.run(["systemctl", "daemon-reload"])


@contextlib.contextmanager
def held_jobs(host: Machine) -> Iterator[dict[str, int]]:
    """A job of each type that cannot end: the number by the type."""
    root = Caller(host)
    account = ["directory", "s", Pebble.directory, "agree-tos", "b", "true", "ca-pem", "s", host.read(Pebble.ca_file)]
    host.run(["mv", "/run/polkit-fails", "/run/polkit-waits"])
    with frozen_ca(host):
        numbers = {
            "order": root.order(f"{PREFIX}job.example.com", f"{PREFIX}job.example.com"),
            "authorize": root.manager("Authorize", "asa{sv}", "1", f"{PREFIX}job.example.com", "0")[0],
            "renew": root.call(certificate_path(ONE), busctl.CERTIFICATE, "Renew", "a{sv}", "1", "force", "b", "true")[
                0
            ],
            "deliver": root.call(certificate_path(HELD), busctl.CERTIFICATE, "Renew", "a{sv}", "0")[0],
            "restore": root.call(certificate_path(HELD_TOO), busctl.CERTIFICATE, "Restore", "a{sv}", "0")[0],
            "revoke": root.call(certificate_path(OTHER), busctl.CERTIFICATE, "Revoke", "ua{sv}", "4", "0")[0],
            "account": root.manager(
                "AddAccount", "sa{sv}", "default", "4", *account, "contact", "as", "1", "admin@example.com"
            )[0],
        }
        try:
            yield numbers
        finally:
            for number in numbers.values():
                with contextlib.suppress(BusError):  # it has ended
                    root.call(job_path(number), busctl.JOB, "Cancel")
            host.run(["rm", "/run/polkit-waits"])
    host.wait_until("the jobs to end", lambda: not root.jobs())


@pytest.fixture(scope="module")
def polkit(host: Machine) -> Iterator[Polkit]:
    with Polkit(host).listening() as polkit:
        yield polkit


@pytest.fixture
def plain(host: Machine) -> Caller:
    return Caller(host, PLAIN)


# Everybody but root needs polkit's yes.


def test_each_method_is_tried() -> None:
    """A method that is not in the tables above fails here."""
    rows = permissions()
    assert {method for method, (action, _) in rows.items() if action != "-"} == {*CHANGES, *CANCELS}
    assert {method for method, (action, _) in rows.items() if action == "-"} == set(READS)
    declared = {
        f"{interface.attrib['name'].removeprefix('org.acmed1.')}.{method.attrib['name']}"
        for interface in ElementTree.parse(XML).iter("interface")
        for method in interface.iter("method")
    }
    assert {method.partition(" ")[0] for method in rows} == declared


@pytest.mark.parametrize("method", CHANGES)
def test_change_is_denied_to_a_plain_user(host: Machine, polkit: Polkit, plain: Caller, method: str) -> None:
    check_denied(host, polkit, plain, method, CHANGES[method])


def test_cancelling_is_denied_to_a_plain_user(host: Machine, polkit: Polkit, plain: Caller) -> None:
    with held_jobs(host) as jobs:
        for method, kind in CANCELS.items():
            check_denied(host, polkit, plain, method, Attempt(job_path(jobs[kind])))
        assert Caller(host).jobs().keys() == set(jobs.values())


def check_denied(host: Machine, polkit: Polkit, plain: Caller, method: str, it: Attempt) -> None:
    """polkit is asked about what the manual says, and nothing happens."""
    action, details = permissions()[method]
    before = Caller(host).objects()
    for interactive, error in ((True, ACCESS_DENIED), (False, PASSWORD_NEEDED)):
        with polkit.questions() as questions, pytest.raises(BusError) as refused:
            attempt(plain, method, it, interactive)
        assert refused.value.name == error
        (question,) = questions
        assert (question.user, question.action) == (PLAIN, action)
        assert question.details.keys() == details
    after = Caller(host).objects()
    assert after.keys() == before.keys()
    assert {path: it for path, it in after.items() if "/job/" not in path} == {
        path: it for path, it in before.items() if "/job/" not in path
    }


def test_details_are_those_of_the_call(host: Machine, polkit: Polkit, plain: Caller) -> None:
    with polkit.questions() as questions:
        for method in ("Manager.Order", "Certificate.Revoke"):
            with pytest.raises(BusError):
                attempt(plain, method, CHANGES[method])
    assert [question.details for question in questions] == [
        {
            "certificate": NEW,
            "identifiers": f"{NEW},www.{NEW}",
            "account": "default",
            "key-type": "ecdsa-p384",
            "services": "nginx",
            "profile": "",
        },
        {"certificate": ONE, "identifiers": ONE, "account": "default", "reason": "superseded"},
    ]


def test_a_clear_no_is_no_matter_of_a_password(polkit: Polkit, plain: Caller) -> None:
    with polkit.rule(NO_RULE):
        for interactive in (True, False):
            with pytest.raises(BusError) as refused:
                attempt(plain, "Manager.Reload", CHANGES["Manager.Reload"], interactive)
            assert refused.value.name == ACCESS_DENIED


def test_acmectl_of_a_plain_user_says_what_to_do(host: Machine) -> None:
    said = Acmectl(host, PLAIN).error("renew", ONE, "--force", code=3)
    assert "org.acmed1.renew" in said
    assert "as root" in said


@pytest.mark.parametrize("method", READS)
def test_reading_is_open_to_everybody(polkit: Polkit, plain: Caller, method: str) -> None:
    with polkit.questions() as questions:
        attempt(plain, method, READS[method])
    assert questions == []


def test_objects_and_properties_can_be_read_by_everybody(host: Machine, polkit: Polkit, plain: Caller) -> None:
    with polkit.questions() as questions:
        assert plain.objects() == Caller(host).objects()
        for path, interface in (
            (busctl.ROOT, busctl.MANAGER),
            (certificate_path(ONE), busctl.CERTIFICATE),
            (busctl.LOG_CONTROL_PATH, busctl.LOG_CONTROL),
        ):
            for name in plain.properties(path, interface):
                plain.call(path, busctl.PROPERTIES, "Get", "ss", interface, name)
            assert interface in plain.introspect(path)
        for words in (["list"], ["status", ONE], ["account", "show"], ["jobs"]):
            Acmectl(host, PLAIN).run(*words)
    assert questions == []


# root needs nobody, and cannot set what is not to be set.


def test_root_is_never_asked_about(host: Machine, polkit: Polkit) -> None:
    with polkit.questions() as questions:
        Acmectl(host).run("renew", ONE, "--force")
        attempt(Caller(host), "Manager.Reload", CHANGES["Manager.Reload"])
        host.run(["systemctl", "start", "acme-renew.service"], check=False)
    assert questions == []


@pytest.mark.parametrize(("user", "error"), [(None, READ_ONLY), (PLAIN, ACCESS_DENIED), (ADMIN, ACCESS_DENIED)])
def test_no_property_can_be_set(host: Machine, user: str | None, error: str) -> None:
    caller, paths = Caller(host, user), {"Manager": busctl.ROOT, "Certificate": certificate_path(ONE)}
    paths["Account"] = f"{busctl.ROOT}/account/default"
    before = Caller(host).objects()
    for interface in ElementTree.parse(XML).iter("interface"):
        path = paths.get(interface.attrib["name"].removeprefix("org.acmed1."))
        for item in interface.iter("property") if path else ():
            assert path
            with pytest.raises(BusError) as refused:
                set_property(caller, path, interface.attrib["name"], item.attrib["name"], "x")
            assert refused.value.name == error
    assert Caller(host).objects() == before


def set_property(caller: Caller, path: str, interface: str, name: str, value: str) -> None:
    """Raises BusError."""
    caller.call(path, busctl.PROPERTIES, "Set", "ssv", interface, name, "s", value)


def test_log_level_can_be_set_by_root_alone(host: Machine, plain: Caller) -> None:
    root, level = Caller(host), ["systemctl", "service-log-level", "acmed.service"]
    where = (busctl.LOG_CONTROL_PATH, busctl.LOG_CONTROL)
    before = plain.properties(*where)
    assert before["SyslogIdentifier"] == "acmed"
    with pytest.raises(BusError) as refused:
        set_property(plain, *where, "LogLevel", "debug")
    assert refused.value.name == ACCESS_DENIED
    assert plain.properties(*where) == before
    host.run([*level, "debug"])
    try:
        assert plain.properties(*where)["LogLevel"] == host.run(level).stdout.strip() == "debug"
    finally:
        set_property(root, *where, "LogLevel", before["LogLevel"])
    for name, error in (("LogLevel", "org.freedesktop.DBus.Error.InvalidArgs"), ("LogTarget", READ_ONLY)):
        with pytest.raises(BusError) as refused:
            set_property(root, *where, name, "chatty")
        assert refused.value.name == error
    assert plain.properties(*where) == before


def test_name_cannot_be_taken_by_others(host: Machine) -> None:
    request = ["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName"]
    for user in (PLAIN, ADMIN):
        result = host.run([*request, "su", "org.acmed1", "0"], user=user, check=False)
        assert result.returncode != 0


# A rule of the administrator's.


def webmasters_rule() -> str:
    """The one in org.acmed1(5), about our certificate."""
    found = re.search(r"^polkit\.addRule\(.*?^\}\);$", text("man/org.acmed1.5"), re.MULTILINE | re.DOTALL)
    assert found
    assert '"www.example.com"' in found[0]
    return found[0].replace("www.example.com", ONE)


def test_rule_lets_a_plain_user_renew_one_certificate(host: Machine, polkit: Polkit) -> None:
    webmaster, ctl = Caller(host, WEBMASTER), Acmectl(host, WEBMASTER)
    before = webmaster.certificate(ONE)["SerialNumber"]
    ctl.error("renew", ONE, "--force", code=3)
    with polkit.rule(webmasters_rule()), monitor(host) as seen:
        (job,) = ctl.json("renew", ONE, "--force")["jobs"]
        assert job["result"] == "done"
        ((_, added),) = seen.seen("InterfacesAdded", job_path(job["id"]))
        assert added[busctl.JOB]["StartedByUID"] == 1502
        after = webmaster.certificate(ONE)["SerialNumber"]
        assert after != before
        for method, it in CHANGES.items():
            if method not in RENEWALS:
                with pytest.raises(BusError) as refused:
                    attempt(webmaster, method, it)
                assert refused.value.name == ACCESS_DENIED
        ctl.error("renew", OTHER, "--force", code=3)
        Acmectl(host, PLAIN).error("renew", ONE, "--force", code=3)
    ctl.error("renew", ONE, "--force", code=3)
    assert webmaster.certificate(ONE)["SerialNumber"] == after


def test_who_may_start_a_job_may_cancel_it(host: Machine, polkit: Polkit) -> None:
    webmaster = Caller(host, WEBMASTER)
    renew = ("Renew", "a{sv}", "1", "force", "b", "true")
    with polkit.rule(webmasters_rule()), monitor(host) as seen, frozen_ca(host):
        mine, _ = webmaster.call(certificate_path(ONE), busctl.CERTIFICATE, *renew)
        others, _ = Caller(host).call(certificate_path(OTHER), busctl.CERTIFICATE, *renew)
        with pytest.raises(BusError) as refused:
            webmaster.call(job_path(others), busctl.JOB, "Cancel")
        assert refused.value.name == ACCESS_DENIED
        webmaster.call(job_path(mine), busctl.JOB, "Cancel")
        assert seen.removed(mine) == "canceled"
        Caller(host).call(job_path(others), busctl.JOB, "Cancel")
        assert seen.removed(others) == "canceled"


# An administrator is asked for a password.


def test_administrator_is_asked_at_the_terminal(host: Machine, polkit: Polkit) -> None:
    name = f"{PREFIX}admin.example.com"
    with polkit.questions() as questions:
        ordered = Terminal(host, ADMIN).run("acmectl", "order", name, f"www.{name}")
        revoked = Terminal(host, ADMIN).run("acmectl", "revoke", name, "--no-replace")
        validated = Terminal(host, ADMIN).run("acmectl", "authorize", f"a.{name}", f"b.{name}")
    assert ordered.returncode == 0, ordered.stdout
    asked = f"Authentication is required to order the certificate {name} for {name},www.{name}\n"
    assert asked in ordered.stdout
    assert "AUTHENTICATION COMPLETE" in ordered.stdout
    assert "issued" in ordered.stdout
    assert revoked.returncode == 0, revoked.stdout
    assert f"Authentication is required to revoke the certificate {name}\n" in revoked.stdout
    assert Caller(host).certificate(name)["State"] == "revoked"
    assert validated.returncode == 0, validated.stdout
    asked = f"Authentication is required to have a.{name},b.{name} validated for the account default\n"
    assert asked in validated.stdout
    assert [(question.user, question.action) for question in questions] == [
        (ADMIN, "org.acmed1.order"),
        (ADMIN, "org.acmed1.revoke"),
        (ADMIN, "org.acmed1.order"),
    ]


def test_wrong_password_is_no_permission(host: Machine) -> None:
    before = Caller(host).certificate(ONE)
    result = Terminal(host, ADMIN, password="wrong").run("acmectl", "renew", ONE, "--force")
    assert result.returncode == 3, result.stdout
    assert "AUTHENTICATION FAILED" in result.stdout
    assert Caller(host).certificate(ONE) == before


def test_plain_user_cannot_do_it_with_a_password_of_his_own(host: Machine) -> None:
    result = Terminal(host, PLAIN, password="wrong").run("acmectl", "renew", ONE, "--force")
    assert f"Authenticating as: {ADMIN}" in result.stdout
    assert result.returncode == 3, result.stdout


def test_administrator_who_forbids_to_ask_is_not_asked(host: Machine) -> None:
    result = Terminal(host, ADMIN).run("acmectl", "renew", ONE, "--force", "--no-ask-password")
    assert result.returncode == 3, result.stdout
    assert PASSWORD_NEEDED in result.stdout
    assert "AUTHENTICATING" not in result.stdout


def test_administrator_without_a_terminal_is_not_asked(host: Machine) -> None:
    Acmectl(host, ADMIN).error("renew", ONE, "--force", code=3)


@pytest.mark.parametrize("interactive", [True, False])
def test_agent_asks_only_where_the_call_allows_it(host: Machine, interactive: bool) -> None:
    """With an agent of the same process at hand, the flag of the call alone decides."""
    option = f"--allow-interactive-authorization={'yes' if interactive else 'no'}"
    call = f"busctl {option} call org.acmed1 /org/acmed1 org.acmed1.Manager Reload"
    agent = "mkfifo /tmp/agent.$$; pkttyagent --process $$ --notify-fd 3 3>/tmp/agent.$$ & cat /tmp/agent.$$"
    result = Terminal(host, ADMIN).run("sh", "-c", f"{agent}; rm /tmp/agent.$$; exec {call}")
    if interactive:
        assert result.returncode == 0, result.stdout
        assert "Authentication is required to have acmed read its configuration again" in result.stdout
    else:
        assert result.returncode != 0
        assert "needs a password, and the call forbids to ask" in result.stdout
        assert "AUTHENTICATING" not in result.stdout


# Hosts without polkit.


@pytest.mark.parametrize("how", ["masked", "missing"])
def test_without_polkit_root_alone_may_change_anything(host: Machine, polkit: Polkit, plain: Caller, how: str) -> None:
    with polkit.masked() if how == "masked" else polkit.missing():
        for method, it in CHANGES.items():
            for caller in (plain, Caller(host, ADMIN)):
                with pytest.raises(BusError) as refused:
                    attempt(caller, method, it)
                assert refused.value.name == ACCESS_DENIED
                assert "polkit" in refused.value.message
        for method, it in READS.items():
            attempt(plain, method, it)
        before = plain.certificate(ONE)["SerialNumber"]
        Acmectl(host).run("renew", ONE, "--force")
        assert plain.certificate(ONE)["SerialNumber"] != before
        host.run(["setpriv", "--reuid=acmed", "--regid=acmed", "--clear-groups", "acmectl", "renew", ONE, "--force"])
        host.run(["systemctl", "start", "acme-renew.service"], check=False)
        assert state(host, "polkit.service") != "active"
    with pytest.raises(BusError) as refused:
        attempt(plain, "Manager.Reload", CHANGES["Manager.Reload"], interactive=False)
    assert refused.value.name == PASSWORD_NEEDED
