# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process, against a real bus and an org.acmed1 that does what each test says."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from dbus_next import Message, MessageType

from acmed.bus import Bus, DBusError
from acmed.bus.server import Call
from acmed.ctl.client import Acmed, Started
from acmed.ctl.display import Silent
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.follow import Follower
from tests.unit.ctl.scripted import CHECKOUT, ROOT, Service, World, certificate_path, play

WWW = "www.example.com"


def values(options: dict[str, Any]) -> dict[str, Any]:
    return {key: variant.value for key, variant in options.items()}


def order_starts(service: Service, number: int = 7, **job: Any) -> asyncio.Event:
    """Has Order start a job that stays; the event is set then."""
    started = asyncio.Event()

    async def order(call: Call, name: str, _: list[str], __: dict[str, Any]) -> tuple[str, int, str]:
        service.calls.append(call)
        path = service.job(number, "order", name, **job)
        asyncio.get_running_loop().call_soon(started.set)
        return certificate_path(name), number, path

    service.on["Order"] = order
    return started


def renew_ends(service: Service, number: int, name: str, result: str, **job: Any) -> None:
    """Has Renew of a certificate do a job of this result, which has ended before the call is answered."""

    async def renew(_: Call, __: dict[str, Any]) -> tuple[int, str]:
        path = service.job(number, "renew", name)
        service.end(number, result, **job)
        return number, path

    service.certificate(name).handlers["Renew"] = renew


async def refuse(name: str, message: str) -> None:
    raise DBusError(name, message)


def test_order(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        asked: dict[str, Any] = {}

        async def order(call: Call, name: str, names: list[str], options: dict[str, Any]) -> tuple[str, int, str]:
            service.calls.append(call)
            asked.update(name=name, names=names, options=values(options))
            path = service.job(7, "order", name)
            asyncio.get_running_loop().call_soon(started.set)
            return certificate_path(name), 7, path

        started = asyncio.Event()
        service.on["Order"] = order
        await service.appear()
        ctl = await world.start(
            "order", "WWW.Example.com", "*.example.com", "--service", "nginx", "--key-type", "rsa-2048"
        )
        await started.wait()
        job = f"{ROOT}/job/_7"
        service.change(
            job, Step="challenge", Progress=40, Challenges=[["a", "http-01", "valid"], ["b", "http-01", "pending"]]
        )
        await ctl.says("answering challenges")
        service.change(job, Step="install", Progress=90)
        await ctl.says("installing")
        service.certificate(WWW)
        service.end(7, "done")
        result = await ctl.ends()
        assert asked == {
            "name": WWW,
            "names": [WWW, "*.example.com"],
            "options": {"services": ["nginx"], "key-type": "rsa-2048"},
        }
        assert service.calls[0].interactive
        assert result.code == 0
        assert f"{WWW}: answering challenges, 1 of 2 valid (40%)\n{WWW}: installing (90%)\n" in result.err
        assert result.out.startswith(f"{WWW}: issued, valid until 2096-10-02 07:06 UTC")
        assert f"  privkey    /var/lib/acme/{WWW}/privkey.pem\n" in result.out

    play(tmp_path, scene)


def test_order_that_ends_before_its_answer(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def order(call: Call, name: str, _: list[str], __: dict[str, Any]) -> tuple[str, int, str]:
            service.calls.append(call)
            path = service.job(7, "order", name)
            service.certificate(name)
            service.end(7, "done")
            return certificate_path(name), 7, path

        service.on["Order"] = order
        await service.appear()
        result = await world.run("order", WWW, "--json", "--no-ask-password")
        assert result.code == 0
        assert result.err == ""
        assert json.loads(result.out)["jobs"][0]["result"] == "done"
        assert not service.calls[0].interactive

    play(tmp_path, scene)


def test_failed_order_tells_the_jobs_error(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW, State="failing", LastError=["org.acmed1.AcmeError.dns", "of yesterday"])
        started = order_starts(service)
        await service.appear()
        ctl = await world.start("order", "--name", WWW)
        await started.wait()
        service.end(7, "failed", Error=["org.acmed1.AcmeError.rateLimited", "wait until tomorrow\x1b[2J"])
        result = await ctl.ends()
        assert result.code == Exit.RATE_LIMITED
        assert f"acmectl: {WWW}: failed: wait until tomorrow\\x1b[2J (org.acmed1.AcmeError.rateLimited)" in result.err
        assert "journalctl ACME_JOB=7" in result.err
        assert "of yesterday" not in result.err
        assert result.out == ""

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("org.freedesktop.DBus.Error.AccessDenied", Exit.NOT_AUTHORISED),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", Exit.NOT_AUTHORISED),
        ("org.acmed1.Error.Busy", Exit.NOT_NOW),
        ("org.freedesktop.DBus.Error.InvalidArgs", Exit.USAGE),
    ],
)
def test_refused_order(tmp_path: Path, error: str, code: Exit) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.on["Order"] = lambda *_: refuse(error, "because")
        await service.appear()
        result = await world.run("order", WWW)
        assert result.code == code
        assert f"{WWW}: was not started: because ({error})" in result.err

    play(tmp_path, scene)


def test_renew_due_with_nothing_due_is_silent(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        flags = []

        async def renew_due(_: Call, given: int) -> tuple[list[Any]]:
            flags.append(given)
            return ([],)

        service.on["RenewDue"] = renew_due
        await service.appear()
        for words in ([], ["-v"], ["--no-ask-password", "-q"]):
            result = await world.run("renew", "--due", *words)
            assert (result.code, result.out, result.err) == (0, "", "")
        assert flags == [0, 0, 0]
        assert (await world.run("renew", "--due", "--json")).out == '{"jobs":[]}\n'

    play(tmp_path, scene)


def test_renew_due_follows_all(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        names = [f"{number}.example.com" for number in range(1, 21)]
        started = asyncio.Event()

        async def renew_due(_: Call, __: int) -> tuple[list[Any]]:
            jobs = [[name, number, service.job(number, "renew", name)] for number, name in enumerate(names, 1)]
            asyncio.get_running_loop().call_soon(started.set)
            return (jobs,)

        service.on["RenewDue"] = renew_due
        await service.appear()
        ctl = await world.start("renew", "--due", "--json")
        await started.wait()
        for number, name in reversed(list(enumerate(names, 1))):
            service.certificate(name)
            service.end(number, "done")
        result = await ctl.ends()
        assert result.code == 0
        assert [(job["id"], job["name"]) for job in json.loads(result.out)["jobs"]] == list(enumerate(names, 1))

    play(tmp_path, scene)


@pytest.mark.parametrize(("kind", "word"), [("renew", "renewed"), ("restore", "restored"), ("deliver", "delivered")])
def test_due_job_that_ends_before_its_answer_is_called_what_it_was(tmp_path: Path, kind: str, word: str) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def renew_due(_: Call, __: int) -> tuple[list[Any]]:
            path = service.job(7, kind, WWW)
            service.certificate(WWW)
            service.end(7, "done")
            return ([[WWW, 7, path]],)

        service.on["RenewDue"] = renew_due
        await service.appear()
        result = await world.run("renew", "--due")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"{WWW}: {word}")

    play(tmp_path, scene)


def test_renew_all_leaves_those_alone_that_are_not_due(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, "a.example.com", "done")
        early = service.certificate("b.example.com")
        early.handlers["Renew"] = lambda *_: refuse("org.acmed1.Error.NotDue", "not yet")
        await service.appear()
        result = await world.run("renew", "--all")
        assert result.code == 0
        assert "a.example.com: renewed" in result.out
        assert "b.example.com: nothing to do" in result.out
        result = await world.run("renew", "b.example.com")
        assert result.code == Exit.NOT_NOW
        assert "acmectl renew b.example.com --force" in result.err

    play(tmp_path, scene)


def test_renew_goes_on_after_one_that_is_refused(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, "a.example.com", "done")
        renew_ends(service, 2, "c.example.com", "failed", Error=["org.acmed1.AcmeError.caa", "forbidden"])
        await service.appear()
        result = await world.run("renew", "a.example.com", "b.example.com", "c.example.com", "--force", "--new-key")
        assert result.code == Exit.FAILED
        assert "a.example.com: renewed" in result.out
        assert "There is no certificate b.example.com" in result.err
        assert "c.example.com: failed: forbidden" in result.err

    play(tmp_path, scene)


def test_undelivered(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, WWW, "failed", Error=["org.acmed1.Error.InstallFailed", "nginx: it failed"])
        service.certificate(WWW, Undelivered=[["nginx", "it failed"]])
        await service.appear()
        result = await world.run("renew", WWW)
        assert result.code == Exit.UNDELIVERED
        assert f"{WWW}: renewed" in result.out
        assert "the service nginx has not got it yet: it failed" in result.err
        result = await world.run("status", WWW)
        assert result.code == Exit.UNDELIVERED
        assert "Undelivered: nginx: it failed" in result.out

    play(tmp_path, scene)


def test_follows_a_job_over_a_restart(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", WWW)
        await started.wait()
        await ctl.says("creating the order")
        await service.crash()
        await ctl.says("acmed was stopped")
        again = await world.service()
        again.job(7, "order", WWW, Step="finalize", Progress=60)
        await again.appear()
        await ctl.says("finalizing the order (60%)")
        again.certificate(WWW)
        again.end(7, "done")
        result = await ctl.ends()
        assert result.code == 0
        assert "issued" in result.out

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("properties", "code", "said"),
    [
        ({"FingerprintSHA256": "new"}, 0, "issued"),
        ({"FingerprintSHA256": "old"}, 1, "does not know the job any more"),
        (
            {"State": "failing", "LastError": ["org.acmed1.AcmeError.dns", "no A"], "LastErrorTimestamp": 2**60},
            1,
            "failed: no A",
        ),
    ],
)
def test_job_that_ended_unseen(tmp_path: Path, properties: dict[str, Any], code: int, said: str) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW, FingerprintSHA256="old")
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", "--name", WWW)
        await started.wait()
        await ctl.says("creating the order")
        await service.crash()
        await ctl.says("acmed was stopped")
        again = await world.service()
        again.certificate(WWW, **properties)
        await again.appear()
        result = await ctl.ends()
        assert result.code == code
        assert said in result.out + result.err

    play(tmp_path, scene)


def test_acmed_that_does_not_come_back(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        path = service.job(7, "renew", WWW)
        await service.appear()
        bus = await Bus.connect(world.address)
        async with Follower(Acmed(bus, ask=False), Silent(), patience=0.0) as follower:
            await service.crash()
            with pytest.raises(CommandError, match="did not come back") as error:
                await follower.follow([Started(7, path, WWW)])
        assert error.value.exit_code is Exit.UNREACHABLE
        assert "job 7" in error.value.hint
        bus.disconnect()

    play(tmp_path, scene)


def test_signals_of_others_are_not_believed(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", WWW)
        await started.wait()
        await ctl.says("creating the order")
        other = await Bus.connect(world.address)
        (names,) = await other.call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames"
        )
        for name in names:
            if name.startswith(":") and name != other.unique_name:
                forge(other, name)
        await other.flush()
        # What the service sends now comes after the forged signal, and shows that acmectl still waits.
        service.change(f"{ROOT}/job/_7", Step="finalize")
        await ctl.says("finalizing the order")
        service.end(7, "failed", Error=["org.acmed1.AcmeError.caa", "really"])
        result = await ctl.ends()
        assert result.code == Exit.FAILED
        assert "really" in result.err
        other.disconnect()

    play(tmp_path, scene)


def forge(bus: Bus, destination: str) -> None:
    """Sends a JobRemoved to one connection, as any user may."""
    bus._library.send(
        Message(
            message_type=MessageType.SIGNAL,
            destination=destination,
            path=ROOT,
            interface="org.acmed1.Manager",
            member="JobRemoved",
            signature="toss",
            body=[7, f"{ROOT}/job/_7", WWW, "done"],
        )
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_a_job_runs(tmp_path: Path, number: signal.Signals) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", WWW)
        await started.wait()
        await ctl.says("creating the order")
        ctl.process.send_signal(number)
        result = await ctl.ends()
        assert result.code == Exit.INTERRUPTED
        assert "Job 7 goes on." in result.err
        assert "acmectl cancel 7" in result.err

    play(tmp_path, scene)


def test_bus_that_goes_away(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", WWW)
        await started.wait()
        await ctl.says("creating the order")
        world.stop_bus()
        result = await ctl.ends()
        assert result.code == Exit.UNREACHABLE
        assert "acmectl: " in result.err

    play(tmp_path, scene)


def test_nobody_there(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        result = await world.run("list")
        assert result.code == Exit.UNREACHABLE
        assert "org.freedesktop.DBus.Error.ServiceUnknown" in result.err
        world.stop_bus()
        await world.bus_ended()
        result = await world.run("list")
        assert result.code == Exit.UNREACHABLE
        assert "Cannot connect to the system bus" in result.err

    play(tmp_path, scene)


def test_lists(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        await service.appear()
        assert (await world.run("list")).out.startswith("No certificates.")
        assert (await world.run("list", "--json")).out == "[]\n"
        assert (await world.run("account", "list")).out.startswith("No accounts.")
        assert (await world.run("jobs", "-q")).out == ""
        service.certificate("b.example.com", State="expired")
        service.certificate("a.example.com", Identifiers=["a.example.com", "x.example.com"])
        service.account("default", URI="https://ca.example/1")
        service.job(7, "renew", "a.example.com", Step="install", Progress=80)
        result = await world.run("list")
        assert result.out.splitlines() == [
            "CERTIFICATE    STATE    VALID UNTIL           RENEWAL               NAMES",
            "a.example.com  valid    2096-10-02 07:06 UTC  2093-08-01 21:20 UTC  a.example.com x.example.com",
            "b.example.com  expired  2096-10-02 07:06 UTC  2093-08-01 21:20 UTC  b.example.com",
        ]
        assert "\x1b[31mexpired" in (await world.run("list", "--color=always", "-q")).out
        assert [one["name"] for one in json.loads((await world.run("--json", "list")).out)] == [
            "a.example.com",
            "b.example.com",
        ]
        assert "7    renew  a.example.com  80%       root" in (await world.run("jobs")).out
        assert json.loads((await world.run("jobs", "--json")).out)[0]["step"] == "install"
        assert "default  https://ca.example/dir  yes         a@example.com" in (await world.run("account", "list")).out

    play(tmp_path, scene)


def test_status(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate("a.example.com")
        await service.appear()
        result = await world.run("status")
        assert result.code == 0
        assert "Certificates: 1 valid" in result.out
        service.certificate("b.example.com", State="failing", LastError=["org.acmed1.AcmeError.caa", "forbidden"])
        result = await world.run("status")
        assert result.code == Exit.FAILED
        assert "Last error: forbidden" in result.out
        assert (await world.run("status", "a.example.com")).code == 0
        assert (await world.run("status", "b.example.com", "-q")).out == ""
        assert (await world.run("status", "c.example.com")).code == Exit.NOT_FOUND
        overview = json.loads((await world.run("status", "--json")).out)
        assert (overview["version"], overview["nextRenewal"], len(overview["certificates"])) == ("1", None, 2)

    play(tmp_path, scene)


def test_account_show(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        await service.appear()
        assert (await world.run("account", "show")).code == Exit.NOT_FOUND
        service.account("one", URI="https://ca.example/1")
        assert "URI: https://ca.example/1" in (await world.run("account", "show")).out
        service.account("two")
        result = await world.run("account", "show")
        assert result.code == Exit.NOT_FOUND
        assert "one, two" in result.err
        service.change(ROOT, DefaultAccount="two")
        assert json.loads((await world.run("account", "show", "--json")).out) == {
            "name": "two",
            "directory": "https://ca.example/dir",
            "uri": None,
            "contact": ["mailto:a@example.com"],
            "status": "valid",
            "termsOfService": None,
            "authorize": [],
        }

    play(tmp_path, scene)


def test_account_add(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (tmp_path / "ca.pem").write_text(f"a comment\n{pem}")

    async def scene(world: World) -> None:
        service = await world.service()
        asked: dict[str, Any] = {}
        results = [("done", {}), ("failed", {"Error": ["org.acmed1.AcmeError.invalidContact", "no such domain"]})]

        async def add(_: Call, name: str, options: dict[str, Any]) -> tuple[int, str]:
            asked.update(name=name, options=values(options))
            path = service.job(7, "account", name)
            service.account(name, URI="https://ca.example/1")
            result, properties = results.pop(0)
            service.end(7, result, **properties)
            return 7, path

        service.on["AddAccount"] = add
        await service.appear()
        words = ["account", "add", "--directory", "https://ca.example/dir", "--contact", "a@example.com", "--agree-tos"]
        result = await world.run(*words, "--ca-file", str(tmp_path / "ca.pem"))
        assert (result.code, result.out) == (0, "default: registered, https://ca.example/1\n")
        assert asked == {
            "name": "default",
            "options": {
                "directory": "https://ca.example/dir",
                "contact": ["mailto:a@example.com"],
                "agree-tos": True,
                "ca-pem": pem,
            },
        }
        result = await world.run(*words)
        assert result.code == Exit.FAILED
        assert "default: failed: no such domain" in result.err
        result = await world.run(*words, "--ca-file", str(tmp_path / "none"))
        assert result.code == Exit.FAILED
        assert f"acmectl: {tmp_path / 'none'}: No such file or directory" in result.err

    play(tmp_path, scene)


def test_revoke_and_forget(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        certificate = service.certificate(WWW)
        asked = []

        async def revoke(_: Call, reason: int, options: dict[str, Any]) -> tuple[int, str]:
            asked.append((reason, options))
            path = service.job(7, "revoke", WWW)
            service.certificate(WWW, State="revoked")
            service.end(7, "done")
            return 7, path

        async def forget(_: Call) -> None:
            service.forget(certificate_path(WWW))

        certificate.handlers.update(Revoke=revoke, Forget=forget)
        await service.appear()
        result = await world.run("revoke", WWW, "--reason", "superseded")
        assert (result.code, result.out, asked) == (0, f"{WWW}: revoked\n", [(4, {})])
        result = await world.run("forget", WWW)
        assert result.code == 0
        assert f"/var/lib/acme/{WWW}/privkey.pem" in result.out
        assert (await world.run("forget", WWW)).code == Exit.NOT_FOUND

    play(tmp_path, scene)


def test_cancel(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        path = service.job(7, "renew", WWW)

        async def cancel(_: Call) -> None:
            service.end(7, "canceled")

        service.objects[path].handlers["Cancel"] = cancel
        await service.appear()
        assert (await world.run("cancel", "7")).code == 0
        result = await world.run("cancel", "7")
        assert result.code == Exit.NOT_FOUND
        assert "There is no job 7" in result.err

    play(tmp_path, scene)


def test_watch(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        path = service.job(7, "renew", WWW, Step="order", Progress=10)
        await service.appear()
        ctl = await world.start("watch")
        await ctl.prints(f"job 7 {WWW}: creating the order (10%)")
        service.change(path, Step="install", Progress=80)
        service.certificate(WWW, State="failing", LastError=["x.Y", "bad\x1bnews"])
        service.end(7, "failed")
        await ctl.prints(f"job 7 {WWW}: failed")
        await service.crash()
        again = await world.service()
        await again.appear()
        again.job(8, "order", "b.example.com")
        again.certificate("b.example.com")
        await ctl.prints("certificate b.example.com: added")
        ctl.interrupt()
        result = await ctl.ends()
        assert (result.code, result.err) == (0, "")
        lines = [line.split(" ", 1)[1] for line in result.out.splitlines()]
        assert lines == [
            f"job 7 {WWW}: creating the order (10%)",
            f"job 7 {WWW}: installing (80%)",
            f"certificate {WWW}: failing, bad\\x1bnews",
            f"job 7 {WWW}: failed",
            "job 8 b.example.com: started",
            "certificate b.example.com: added",
        ]

    play(tmp_path, scene)


def test_watch_as_json(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        path = service.job(7, "renew", WWW, Step="order", Progress=10)
        await service.appear()
        ctl = await world.start("watch", "--json")
        await ctl.prints("job-step")
        service.change(certificate_path(WWW), State="due", Failures=1)
        service.end(7, "done")
        await ctl.prints("job-removed")
        ctl.interrupt()
        events = [json.loads(line) for line in (await ctl.ends()).out.splitlines()]
        assert all(event.pop("time").endswith("Z") for event in events)
        assert [event["event"] for event in events] == ["job-step", "certificate-changed", "job-removed"]
        assert events[0]["certificate"] == WWW
        assert events[1] == {"event": "certificate-changed", "name": WWW, "changed": ["Failures", "State"]}
        assert events[2] == {"event": "job-removed", "job": 7, "name": WWW, "result": "done"}
        assert path

    play(tmp_path, scene)


def test_reader_that_goes_away(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        await service.appear()
        read, write = os.pipe()
        os.close(read)
        ctl = await world.start("list", stdout=write)
        os.close(write)
        result = await ctl.ends()
        assert (result.code, result.err) == (Exit.BROKEN_PIPE, "")

    play(tmp_path, scene)


def test_full_disk(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        await service.appear()
        with Path("/dev/full").open("w") as full:
            result = await (await world.start("list", stdout=full.fileno())).ends()
        assert result.code == Exit.FAILED
        assert "No space left on device" in result.err

    play(tmp_path, scene)


def test_terminal_without_the_characters(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW, State="failing", Issuer="CN=Größe ✓", LastError=["x.Y", "größer"])
        await service.appear()
        environment = {"PYTHONIOENCODING": "ascii"}
        result = await (await world.start("status", WWW, environment=environment)).ends()
        assert "Issuer: CN=Gr\\xf6\\xdfe \\u2713" in result.out
        result = await (await world.start("status", WWW, "--json", environment=environment)).ends()
        assert json.loads(result.out)["issuer"] == "CN=Größe ✓"

    play(tmp_path, scene)


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        started = order_starts(service, Step="order", Progress=10)
        await service.appear()
        master, slave = os.openpty()
        ctl = await world.start("order", WWW, "--color=never", stderr=slave, environment={"TERM": "xterm"})
        os.close(slave)
        await started.wait()
        seen = await read_until(master, "10%  creating the order")
        service.change(f"{ROOT}/job/_7", Step="install", Progress=80)
        seen += await read_until(master, "80%  installing")
        service.certificate(WWW)
        service.end(7, "done")
        result = await ctl.ends()
        assert result.code == 0
        assert f"{WWW}  [##------------------]  10%" in seen
        assert "\x1b[1A\r\x1b[J" in seen
        os.close(master)

    play(tmp_path, scene)


async def read_until(terminal: int, text: str) -> str:
    """What comes from a terminal, up to text."""
    seen = ""
    async with asyncio.timeout(20):
        while text not in seen:
            seen += (await asyncio.to_thread(os.read, terminal, 4096)).decode()
    return seen


def test_verbose_without_a_readable_journal_goes_on(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, WWW, "done")
        await service.appear()
        result = await world.run("renew", WWW, "-v")
        assert result.code == 0
        assert f"{WWW}: renewed" in result.out

    play(tmp_path, scene)


def test_checkout_is_what_is_tested() -> None:
    assert (CHECKOUT / "acmed" / "ctl" / "main.py").exists()


@pytest.mark.parametrize("json", [False, True])
def test_what_is_told_in_the_last_moment_is_not_lost(tmp_path: Path, json: bool) -> None:
    """All of a job's last signals may come at once, when there is no time left to show each step."""

    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        started = order_starts(service, Step="order")
        await service.appear()
        ctl = await world.start("order", WWW, *(["--json"] if json else []))
        await started.wait()
        service.end(7, "done", Detail="a.example: refused; trying b.example")
        result = await ctl.ends()
        assert result.code == 0
        wanted = '"remark":"a.example: refused; trying b.example"' if json else "note: a.example: refused; trying"
        assert wanted in result.out

    play(tmp_path, scene)
