# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands of ACME in full: what acmectl sends to org.acmed1, and what it prints of the answers."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError
from acmed.bus.server import Call
from acmed.ctl.commands.dns import quoted
from acmed.ctl.exits import Exit
from tests.unit.ctl.scripted import ROOT, Ctl, Service, World, certificate_path, play

WWW = "www.example.com"
DER = b"0\x03\x02\x01\x01"
TERMS = "The CA's terms of service are at https://ca.example/terms"


def values(options: dict[str, Any]) -> dict[str, Any]:
    return {key: variant.value for key, variant in options.items()}


def signatures(options: dict[str, Any]) -> dict[str, str]:
    return {key: variant.signature for key, variant in options.items()}


def ended(service: Service, kind: str, name: str, result: str = "done", **job: Any) -> tuple[int, str]:
    """A job that has ended before the call is answered."""
    path = service.job(7, kind, name)
    service.end(7, result, **job)
    return 7, path


def test_order_with_all_options(tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    async def scene(world: World) -> None:
        service = await world.service()

        async def order(_: Call, name: str, names: list[str], options: dict[str, Any]) -> tuple[str, int, str]:
            asked.update(names=names, values=values(options), signatures=signatures(options))
            service.certificate(name)
            return (certificate_path(name), *ended(service, "order", name))

        service.on["Order"] = order
        await service.appear()
        result = await world.run(
            *("order", WWW, "--account", "le", "--failover", "b", "--failover", "b", "--challenge", "dns-01"),
            *("--profile", "shortlived", "--must-staple", "--common-name", WWW, "--preferred-chain", "Root X"),
            *("--validity", "30", "--backdate", "12"),
        )
        assert result.code == 0, result.err

    play(tmp_path, scene)
    assert asked["names"] == [WWW]
    assert asked["values"] == {
        "account": "le",
        "failover": ["b"],
        "challenge": "dns-01",
        "profile": "shortlived",
        "must-staple": True,
        "common-name": WWW,
        "preferred-chain": "Root X",
        "validity-days": 30,
        "backdate-hours": 12,
    }
    assert asked["signatures"]["validity-days"] == asked["signatures"]["backdate-hours"] == "u"
    assert asked["signatures"]["failover"] == "as"


@pytest.mark.parametrize("form", ["pem", "der"])
def test_order_of_a_request_made_elsewhere(tmp_path: Path, form: str) -> None:
    path = tmp_path / "request"
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.b64encode(DER) + b"\n-----END CERTIFICATE REQUEST-----\n"
    path.write_bytes(DER if form == "der" else b"Request:\n" + pem)
    asked: list[Any] = []

    async def scene(world: World) -> None:
        service = await world.service()

        async def order_csr(_: Call, name: str, csr: bytes, options: dict[str, Any]) -> tuple[str, int, str]:
            asked.extend([name, bytes(csr), values(options)])
            service.certificate(name)
            return (certificate_path(name), *ended(service, "order", name))

        service.on["OrderCSR"] = order_csr
        await service.appear()
        result = await world.run("order", "--name", "mail", "--csr", str(path))
        assert result.code == 0, result.err

    play(tmp_path, scene)
    assert asked == ["mail", DER, {}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "holds no certificate signing request"),
        (b"-----BEGIN PRIVATE KEY-----\n", "holds a private key"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\n!!!\n-----END CERTIFICATE REQUEST-----\n", "is damaged"),
    ],
)
def test_request_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "request"
    path.write_bytes(content)

    async def scene(world: World) -> None:
        service = await world.service()
        await service.appear()
        result = await world.run("order", "--name", "mail", "--csr", str(path))
        assert result.code == 1
        assert f"{path}: {message}" in result.err

    play(tmp_path, scene)


def test_authorize(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def scene(world: World) -> None:
        service = await world.service()

        async def authorize(_: Call, names: list[str], options: dict[str, Any]) -> tuple[int, str]:
            asked.extend([names, values(options)])
            return ended(service, "authorize", "names")

        service.on["Authorize"] = authorize
        await service.appear()
        result = await world.run("authorize", WWW, "192.0.2.1", "--account", "le")
        assert (result.code, result.out) == (0, f"{WWW} 192.0.2.1: authorized\n")

    play(tmp_path, scene)
    assert asked == [[WWW, "192.0.2.1"], {"account": "le"}]


def test_authorize_says_nothing_of_a_certificate_of_that_name(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def authorize(*_: Any) -> tuple[int, str]:
            return ended(service, "authorize", "authorize.www-0123")

        service.on["Authorize"] = authorize
        service.certificate(WWW, Undelivered=[["nginx", "it failed"]])
        await service.appear()
        result = await world.run("authorize", WWW)
        assert (result.code, result.out) == (0, f"{WWW}: authorized\n")

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("name", "certificate"),
    [("::1", "0--1"), ("[::FFFF]", "0--ffff"), ("2001:db8::", "2001-db8--"), ("*.example.com", "_.example.com")],
)
def test_the_name_of_a_certificate_that_was_given_none(tmp_path: Path, name: str, certificate: str) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def order(_: Call, given: str, *__: Any) -> tuple[str, int, str]:
            service.certificate(given)
            return (certificate_path(given), *ended(service, "order", given))

        service.on["Order"] = order
        await service.appear()
        result = await world.run("order", name)
        assert result.out.startswith(f"{certificate}: issued")

    play(tmp_path, scene)


def test_a_first_name_that_is_too_long_for_a_certificate(tmp_path: Path) -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 57, "com"])

    async def scene(world: World) -> None:
        await (await world.service()).appear()
        result = await world.run("order", name)
        assert result.code == Exit.USAGE
        assert "at most 200 characters" in result.err
        assert "--name" in result.err
        assert "defect" not in result.err

    play(tmp_path, scene)


def test_check(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def check(_: Call, __: dict[str, Any]) -> tuple[list[list[str]]]:
            return ([["port", WWW, "error", "nginx.service\x1b holds port 80"], ["clock", "", "ok", "in step"]],)

        service.certificate(WWW).handlers["Check"] = check
        await service.appear()
        result = await world.run("check", WWW)
        assert result.code == 1
        assert result.out.splitlines() == [
            f"error    port      {WWW}: nginx.service\\x1b holds port 80",
            "ok       clock     in step",
        ]
        quiet = await world.run("check", WWW, "--quiet")
        assert quiet.out.count("\n") == 1
        assert json.loads((await world.run("check", WWW, "--json")).out)[1] == {
            "check": "clock",
            "subject": "",
            "severity": "ok",
            "message": "in step",
        }

    play(tmp_path, scene)


def test_dns_show(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        found: list[list[Any]] = [["_validation-persist.example.com", "TXT", 'ca.example; a="b"', 300]]

        async def records(_: Call, __: dict[str, Any]) -> tuple[list[list[Any]]]:
            return (found,)

        service.certificate(WWW).handlers["ListRecords"] = records
        await service.appear()
        zone = await world.run("dns", "show", WWW)
        assert zone.out == '_validation-persist.example.com. 300 IN TXT "ca.example; a=\\"b\\""\n'
        update = await world.run("dns", "show", WWW, "--nsupdate")
        assert update.out == 'update add _validation-persist.example.com. 300 TXT "ca.example; a=\\"b\\""\nsend\n'
        found.clear()
        assert (await world.run("dns", "show", WWW)).out == f"; no record needs to be published for {WWW}\n"

    play(tmp_path, scene)


def test_long_text_is_cut_into_strings() -> None:
    assert quoted("a" * 300) == f'"{"a" * 255}" "{"a" * 45}"'


def test_revoke_options(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def scene(world: World) -> None:
        service = await world.service()

        async def revoke(_: Call, reason: int, options: dict[str, Any]) -> tuple[int, str]:
            asked.extend([reason, values(options)])
            return ended(service, "revoke", WWW)

        service.certificate(WWW, State="revoked").handlers["Revoke"] = revoke
        await service.appear()
        result = await world.run("revoke", WWW, "--no-replace", "--certificate-key", "--reason", "keyCompromise")
        assert (result.code, result.out) == (0, f"{WWW}: revoked; nothing is ordered in its place\n")

    play(tmp_path, scene)
    assert asked == [1, {"replace": False, "certificate-key": True}]


def test_revoke_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(DER) + b"\n-----END CERTIFICATE-----\n")
    asked: list[Any] = []

    async def scene(world: World) -> None:
        service = await world.service()

        async def revoke(_: Call, der: bytes, reason: int, options: dict[str, Any]) -> tuple[int, str]:
            asked.extend([bytes(der), reason, values(options)])
            return ended(service, "revoke", "default")

        service.on["RevokeOther"] = revoke
        await service.appear()
        result = await world.run("revoke", "--file", str(path), "--account", "le", "--no-replace")
        assert (result.code, result.out) == (0, f"{path}: revoked\n")

    play(tmp_path, scene)
    assert asked == [DER, 0, {"account": "le", "replace": False}]


def test_restore(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def restore(_: Call, __: dict[str, Any]) -> tuple[int, str]:
            return ended(service, "restore", WWW)

        service.certificate(WWW).handlers["Restore"] = restore
        await service.appear()
        result = await world.run("restore", WWW)
        assert result.out.startswith(f"{WWW}: restored, valid until ")

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("words", "method", "options", "done"),
    [
        (["update", "le", "--contact", "b@example.com"], "Update", {"contact": ["mailto:b@example.com"]}, "updated"),
        (["update", "le", "--no-contact"], "Update", {"contact": []}, "updated"),
        (["rollover", "le", "--key-type", "rsa-2048"], "RolloverKey", {"key-type": "rsa-2048"}, "has a new key"),
        (["rollover"], "RolloverKey", {}, "has a new key"),
        (["deactivate", "le"], "Deactivate", {}, "deactivated"),
    ],
)
def test_account_changes(tmp_path: Path, words: list[str], method: str, options: dict[str, Any], done: str) -> None:
    kinds = {"Update": "update-account", "RolloverKey": "rollover-key", "Deactivate": "deactivate-account"}
    asked: list[Any] = []

    async def scene(world: World) -> None:
        service = await world.service()

        async def change(_: Call, given: dict[str, Any]) -> tuple[int, str]:
            asked.append(values(given))
            return ended(service, kinds[method], "le")

        service.account("le", URI="https://ca.example/acct/1").handlers[method] = change
        await service.appear()
        result = await world.run("account", *words)
        assert result.code == 0, result.err
        assert f"le: {done}" in result.out

    play(tmp_path, scene)
    assert asked == [options]


def test_binding_is_read_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "hmac"
    secret.write_text("c2VjcmV0\n")
    asked: dict[str, Any] = {}

    async def scene(world: World) -> None:
        service = await world.service()

        async def add(_: Call, name: str, options: dict[str, Any]) -> tuple[int, str]:
            asked.update(values(options))
            service.account(name, URI="https://ca.example/acct/1")
            return ended(service, "account", name)

        service.on["AddAccount"] = add
        await service.appear()
        result = await world.run(
            *("account", "add", "--directory", "letsencrypt", "--agree-tos"),
            *("--eab-key-id", "kid", "--eab-hmac-file", str(secret)),
        )
        assert result.code == 0, result.err
        secret.write_text("two words\n")
        bad = await world.run(
            *("account", "add", "--directory", "letsencrypt", "--agree-tos"),
            *("--eab-key-id", "kid", "--eab-hmac-file", str(secret)),
        )
        assert bad.code == 1
        assert "two words" not in bad.err

    play(tmp_path, scene)
    assert (asked["eab-key-id"], asked["eab-hmac"], asked["eab-algorithm"]) == ("kid", "c2VjcmV0", "HS256")


def terms_wanted(service: Service, asked: list[bool]) -> None:
    """Has AddAccount fail until its caller agrees to the terms."""

    async def add(_: Call, name: str, options: dict[str, Any]) -> tuple[int, str]:
        asked.append("agree-tos" in options)
        if not asked[-1]:
            return ended(service, "account", name, "failed", Error=["org.acmed1.Error.TermsNotAgreed", TERMS])
        service.account(name, URI="https://ca.example/acct/1")
        return ended(service, "account", name)

    service.on["AddAccount"] = add


def test_terms_are_shown_where_nobody_can_be_asked(tmp_path: Path) -> None:
    asked: list[bool] = []

    async def scene(world: World) -> None:
        service = await world.service()
        terms_wanted(service, asked)
        await service.appear()
        result = await world.run("account", "add", "--directory", "letsencrypt")
        assert result.code == 1
        assert TERMS in result.err
        assert "--agree-tos" in result.err

    play(tmp_path, scene)
    assert asked == [False]


@asynccontextmanager
async def question(world: World) -> AsyncIterator[tuple[Ctl, int]]:
    """acmectl where it has shown the terms and asks about them, and the terminal."""
    master, slave = os.openpty()
    try:
        ctl = await world.start("account", "add", "--directory", "letsencrypt", stdin=slave, stderr=slave)
        seen = ""
        async with asyncio.timeout(20):
            while "[y/N]" not in seen:
                seen += (await asyncio.to_thread(os.read, master, 4096)).decode()
        assert TERMS in seen
        yield ctl, master
    finally:
        os.close(slave)
        os.close(master)


@pytest.mark.parametrize(("typed", "expected"), [("y\n", [False, True]), ("n\n", [False]), ("\n", [False])])
def test_terms_are_asked_about_on_a_terminal(tmp_path: Path, typed: str, expected: list[bool]) -> None:
    asked: list[bool] = []

    async def scene(world: World) -> None:
        service = await world.service()
        terms_wanted(service, asked)
        await service.appear()
        async with question(world) as (ctl, terminal):
            os.write(terminal, typed.encode())
            result = await ctl.ends()
        assert result.code == (0 if len(expected) == 2 else 1)

    play(tmp_path, scene)
    assert asked == expected


def test_ctrl_c_leaves_the_question_about_terms(tmp_path: Path) -> None:
    asked: list[bool] = []

    async def scene(world: World) -> None:
        service = await world.service()
        terms_wanted(service, asked)
        await service.appear()
        async with question(world) as (ctl, _):
            ctl.process.send_signal(signal.SIGINT)
            result = await ctl.ends()
        assert result.code == Exit.INTERRUPTED

    play(tmp_path, scene)
    assert asked == [False]


def test_status_tells_what_is_unusual(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(
            WWW,
            Identifiers=["xn--bcher-kva.example"],
            Failover=["b"],
            Profile="shortlived",
            Differences=["names", "key-type"],
            RenewalWindow=[1_700_000_000_000_000, 1_700_000_600_000_000],
            RenewalExplanation="https://ca.example/incident",
            RetryAt=4_000_000_000_000_000,
            Endangered=True,
        )
        await service.appear()
        result = await world.run("status", WWW)
        assert result.code == 1
        for words in (
            "bücher.example (xn--bcher-kva.example)",
            "default, then b",
            "2023-11-14 22:13 UTC to 2023-11-14 22:23 UTC",
            "https://ca.example/incident",
            "differs from configuration: names, key-type",
            "it should have been renewed by now",
        ):
            assert words in result.out
        document = json.loads((await world.run("status", WWW, "--json")).out)
        assert document["renewalWindow"] == ["2023-11-14T22:13:20Z", "2023-11-14T22:23:20Z"]
        assert document["endangered"] is True

    play(tmp_path, scene)


def test_detail_of_a_job_is_told(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        service.certificate(WWW)
        started = asyncio.Event()

        async def order(_: Call, name: str, __: list[str], ___: dict[str, Any]) -> tuple[str, int, str]:
            path = service.job(7, "order", name)
            asyncio.get_running_loop().call_soon(started.set)
            return certificate_path(name), 7, path

        service.on["Order"] = order
        await service.appear()
        ctl = await world.start("order", WWW)
        await started.wait()
        service.change(f"{ROOT}/job/_7", Step="challenge", Detail="ns2.example.com lags", Progress=30)
        await ctl.says("answering challenges: ns2.example.com lags (30%)")
        service.end(7, "done")
        assert (await ctl.ends()).code == 0

    play(tmp_path, scene)


def test_unknown_certificate(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()

        async def missing(_: Call, name: str) -> tuple[str]:
            raise DBusError("org.acmed1.Error.NoSuchCertificate", f"There is no certificate {name}")

        service.on["GetCertificate"] = missing
        await service.appear()
        for command in (["check"], ["dns", "show"], ["restore"]):
            assert (await world.run(*command, "nothing")).code == 4

    play(tmp_path, scene)
