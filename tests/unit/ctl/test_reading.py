# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process, against a real bus and an org.acmed1 that is scripted: what there is, and what happens."""

import json
from pathlib import Path

from acmed.ctl.exits import Exit
from tests.unit.ctl.scripted import ROOT, World, certificate_path, play
from tests.unit.ctl.started import WWW


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


def test_status_tells_of_a_configuration_that_does_not_count(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate("a.example.com")
        await service.appear()
        assert json.loads((await world.run("status", "--json")).out)["problems"] == []
        service.problems = [["/etc/acmed/acmed.toml", 2, "not valid TOML: \x1b", "a hint"], ["/x.toml", 0, "no", ""]]
        result = await world.run("status")
        assert result.code == Exit.FAILED
        assert "Configuration: 2 problems, 'acmectl config check' says what to do:" in result.out
        assert "/etc/acmed/acmed.toml:2: not valid TOML: \\x1b\n" in result.out
        assert "/x.toml: no\n" in result.out
        assert (await world.run("status", "a.example.com")).code == Exit.DONE
        first, _ = json.loads((await world.run("status", "--json")).out)["problems"]
        assert first == {
            "file": "/etc/acmed/acmed.toml",
            "line": 2,
            "message": "not valid TOML: \x1b",
            "hint": "a hint",
        }

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
            "key": None,
            "lastError": None,
            "failures": 0,
            "retryAt": None,
        }
        service.change(f"{ROOT}/account/two", KeySource="gpg:/etc/acmed/two.gpg")
        assert "Key: gpg:/etc/acmed/two.gpg" in (await world.run("account", "show")).out
        assert "gpg:/etc/acmed/two.gpg" in (await world.run("account", "list")).out

    play(tmp_path, scene)


def test_names_of_an_account_that_cannot_be_validated(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.account("one", Authorize=["a.example.com"])
        await service.appear()
        assert "Last error" not in (await world.run("account", "show", "one")).out
        result = await world.run("status")
        assert (result.code, "Last error" in result.out) == (0, False)
        error = {"LastError": ["x.Y", "bad\x1bnews"], "LastErrorTimestamp": 1_750_000_000_000_000}
        service.change(f"{ROOT}/account/one", Failures=3, RetryAt=9_750_000_000_000_000, **error)
        for words, code in ((("account", "show", "one"), 0), (("status",), 1)):
            result = await world.run(*words)
            assert result.code == code
            lines = [line.strip() for line in result.out.splitlines()]
            assert "Failures: 3 in a row, to have these names validated" in lines
            assert any(line.startswith("Next attempt: 2278-12-19") for line in lines)
            assert any("news" in line and "\x1b" not in line for line in lines)
            assert any(line.startswith("x.Y, 2025-06-15") for line in lines)
        (told,) = json.loads((await world.run("status", "--json")).out)["accounts"]
        assert (told["failures"], told["retryAt"]) == (3, "2278-12-19T05:20:00Z")
        assert told["lastError"]["name"] == "x.Y"

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
        service.change(service.job(8, "revoke", WWW), Step="revoke")
        await ctl.prints('"id":8')
        ctl.interrupt()
        events = [json.loads(line) for line in (await ctl.ends()).out.splitlines()]
        assert all(event.pop("time").endswith("Z") for event in events)
        assert [event["event"] for event in events] == [
            "job-step", "certificate-changed", "job-removed", "job-new", "job-step",
        ]  # fmt: skip
        assert events[0]["certificate"] == WWW
        assert events[4].items() >= {"id": 8, "type": "revoke", "started": "2025-06-15T15:06:40Z"}.items()
        assert events[1] == {"event": "certificate-changed", "name": WWW, "changed": ["Failures", "State"]}
        assert events[2] == {"event": "job-removed", "job": 7, "name": WWW, "result": "done"}
        assert path

    play(tmp_path, scene)
