# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl as a process, against a real bus and an org.acmed1 that is scripted: orders, accounts, and how they end."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from acmed.bus.server import Call
from acmed.ctl.exits import Exit
from tests.unit.ctl.scripted import ROOT, World, certificate_path, play
from tests.unit.ctl.started import WWW, order_starts, refuse, renew_ends, values


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


def test_undelivered(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        renew_ends(service, 1, WWW, "failed", Error=["org.acmed1.Error.InstallFailed", "nginx: it failed"])
        owed = [["nginx", "it failed"], ["its files", "no directory"], ["hook of nginx", ""]]
        service.certificate(WWW, Undelivered=owed)
        await service.appear()
        result = await world.run("renew", WWW)
        assert result.code == Exit.UNDELIVERED
        assert f"{WWW}: renewed" in result.out
        assert "the service nginx has not got it yet: it failed\n" in result.err
        assert f"{WWW}: its files have not got it yet: no directory\n" in result.err
        assert f"{WWW}: the hook of nginx has not got it yet\n" in result.err
        result = await world.run("status", WWW)
        assert result.code == Exit.UNDELIVERED
        assert "Undelivered: nginx: it failed" in result.out

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
        assert (result.code, result.out, asked) == (0, f"{WWW}: revoked; nothing is ordered in its place\n", [(4, {})])
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
