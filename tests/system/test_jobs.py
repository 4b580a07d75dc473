# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs on the real bus: those that fail, that are canceled, that run beside each other, and who watches them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.machine import Machine, Pebble
from tests.system import busctl
from tests.system.acmectl import Acmectl, running
from tests.system.busctl import BusError, Caller, certificate_path, forget_all, job_path, monitor
from tests.system.lease import wait_closed
from tests.system.standstill import frozen_ca, silent_host

PREFIX = "jobs-"


@pytest.fixture(autouse=True)
def tidy(machine: Machine, account: str) -> Iterator[None]:
    """No certificate and no job of a test is left for the next."""
    yield
    forget_all(Caller(machine), PREFIX)


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
