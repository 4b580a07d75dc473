# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is looked at before a CA is told, and what comes of it."""

import asyncio
from pathlib import Path

import pytest

from acmed.varlink import VarlinkError
from tests.bus.rig import CERTIFICATE, ROOT, WWW, Rig, rig


async def _order(it: Rig) -> tuple[str, str, str]:
    """The result, and what LastError is after it."""
    result = await it.caller.result(await it.caller.order("", "www.example.com"))
    name, message = (await it.caller.properties())["LastError"]
    return result, name, message


def _break(it: Rig, what: str) -> None:
    if what == "clock":
        it.clientd.clock_offset = -90000
    else:
        it.dnsd.find_error(what, "www.example.com", f"{what} is wrong")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("clock", "90000 s ahead of"),
        ("resolve", "www.example.com: resolve is wrong"),
        ("caa", "www.example.com: caa is wrong"),
    ],
)
def test_what_is_wrong_ends_the_job_before_the_ca_is_told(tmp_path: Path, what: str, words: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _break(it, what)
            result, name, message = await _order(it)
            assert (result, name) == ("failed", "org.acmed1.Error.PreflightFailed")
            assert words in message
            assert "Finalize" not in it.clientd.called
            assert it.privd.called[-1] in ("CloseChallenge", "Notify")
            assert [*it.places.tokens.iterdir()] == []

    asyncio.run(run())


@pytest.mark.parametrize("what", ["clock", "resolve", "caa"])
def test_nothing_can_be_in_the_way_of_what_is_valid_at_the_ca(tmp_path: Path, what: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.already_valid = True
            _break(it, what)
            assert (await _order(it))[0] == "done"

    asyncio.run(run())


def test_only_the_way_that_is_taken_counts(tmp_path: Path) -> None:
    """http-01 was expected and looked at; the CA offers something else."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.challenge_type = "tls-alpn-01"
            _break(it, "resolve")
            assert (await _order(it))[0] == "done"

    asyncio.run(run())


def test_not_where_it_is_turned_off(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "certificates.d").mkdir()
            (it.places.etc / "certificates.d" / "www.example.com.toml").write_text(
                'names = ["www.example.com"]\npreflight = false\n'
            )
            _break(it, "resolve")
            number = await it.caller.order("www.example.com")
            assert await it.caller.result(number) == "done"
            assert it.dnsd.calls == []
            assert "Directory" not in it.clientd.called

    asyncio.run(run())


def test_warning_is_told_and_stops_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.dnsd.find_error("resolve", "www.example.com", "192.0.2.1 is not of this host", severity="warning")
            number = await it.caller.order("", "www.example.com")
            assert await it.caller.result(number) == "done"
            details = [
                signal.body[1]["Detail"].value
                for signal in it.caller.signals
                if signal.path == f"{ROOT}/job/_{number}" and "Detail" in (signal.body[1:] or [{}])[0]
            ]
            assert details[0] == "www.example.com: 192.0.2.1 is not of this host"

    asyncio.run(run())
    assert "192.0.2.1 is not of this host" in capfd.readouterr().err


@pytest.mark.parametrize("method", ["Directory", "Check"])
def test_what_cannot_be_found_out_stops_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str], method: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            for peer in (it.clientd, it.dnsd):
                peer.errors[method] = VarlinkError("org.acmed.InternalError")
            assert (await _order(it))[0] == "done"

    asyncio.run(run())
    assert "Preflight" in capfd.readouterr().err


def test_a_look_that_takes_long_ends_with_the_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.dnsd.gate("Check")
            it.clientd.errors["Order"] = VarlinkError("org.acmed.Client.KeyUnavailable", account="default", reason="x")
            assert (await _order(it))[1] == "org.acmed1.Error.KeyUnavailable"
            assert (await it.caller.properties(WWW))["Job"] == [0, "/"]

    asyncio.run(run())


def test_what_is_wrong_is_not_waited_for(tmp_path: Path) -> None:
    """Name servers may take minutes until they have a record, of which nothing will come."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "zones.toml").write_text('[zone."example.com"]\n')
            it.dnsd.methods = {"example.com": "update"}
            it.clientd.challenge_type = "dns-01"
            it.dnsd.gate("Wait")
            _break(it, "caa")
            result, name, _ = await _order(it)
            assert (result, name) == ("failed", "org.acmed1.Error.PreflightFailed")
            assert it.dnsd.records == set()

    asyncio.run(run())


def test_check_says_it_all_and_orders_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.port_problem = "port 80 cannot be opened: nginx has it"
            _break(it, "caa")
            (findings,) = await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {})
            assert [tuple(finding[:3]) for finding in findings] == [
                ("limit", "default", "ok"),
                ("clock", "default", "ok"),
                ("caa", "www.example.com", "error"),
                ("port", "http-01", "error"),
            ]
            assert findings[3][3] == "port 80 cannot be opened: nginx has it"
            assert it.clientd.called == ["Directory"]

    asyncio.run(run())
