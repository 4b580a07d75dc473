# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is looked at before a CA is told, and what comes of it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from acmed.manager.ways import preflight
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
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
def test_what_is_wrong_ends_the_job_before_anything_is_ordered(tmp_path: Path, what: str, words: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _break(it, what)
            result, name, message = await _order(it)
            assert (result, name) == ("failed", "org.acmed1.Error.PreflightFailed")
            assert words in message
            assert "Order" not in it.clientd.called
            assert "OpenChallenge" not in it.privd.called
            assert [*it.places.tokens.iterdir()] == []

    asyncio.run(run())


@pytest.mark.parametrize("what", ["clock", "resolve", "caa"])
def test_nothing_can_be_in_the_way_of_an_order_whose_names_are_valid(tmp_path: Path, what: str) -> None:
    """The CA may have issued, and nothing of its own is looked at any more."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.already_valid = True
            it.clientd.kept = {"www.example.com": False}
            _break(it, what)
            assert (await _order(it))[0] == "done"
            assert "Order" not in it.clientd.called

    asyncio.run(run())


@pytest.mark.parametrize(
    ("what", "age", "result"), [("resolve", 61, "failed"), ("resolve", 85, "done"), ("clock", 85, "failed")]
)
def test_what_is_in_danger_is_ordered_whatever_dns_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, age: int, result: str
) -> None:
    """The CA may see another DNS than this host. What is only due can wait for somebody to look; and by a clock that
    is far ahead, what is ordered would be due again at once.
    """

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"], begun=timedelta(days=age)))
            _break(it, what)
            assert await it.caller.result(await it.caller.renew()) == result
            assert ("Order" in it.clientd.called) == (result == "done")

    asyncio.run(run())
    assert ("resolve is wrong. It is ordered all the same" in capfd.readouterr().err) == (result == "done")


@pytest.mark.parametrize(
    ("age", "offset", "result"),
    [
        (timedelta(days=75, hours=10), -72_000, "failed"),
        (timedelta(days=75, hours=10), -7_200, "done"),
        (timedelta(days=74, hours=23, minutes=30), 0, "failed"),
        (timedelta(days=74, hours=23, minutes=30), 3_600, "done"),
    ],
)
def test_danger_is_by_the_clock_of_the_ca(tmp_path: Path, age: timedelta, offset: int, result: str) -> None:
    """This host's is not so wrong that nothing could be ordered. Danger begins after 75 of 90 days. age: by this
    host's clock.
    """

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"], begun=age))
            it.clientd.clock_offset = offset
            _break(it, "resolve")
            assert await it.caller.result(await it.caller.renew()) == result
            assert ("Order" in it.clientd.called) == (result == "done")

    asyncio.run(run())


@pytest.mark.parametrize("offset", [3_600, -80_000])
def test_clock_that_does_no_harm_stops_no_order(tmp_path: Path, capfd: pytest.CaptureFixture[str], offset: int) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.clock_offset = offset
            assert (await _order(it))[0] == "done"

    asyncio.run(run())
    assert f"Preflight (clock): default: this host's clock is {abs(offset)} s " in capfd.readouterr().err


def test_only_the_way_that_is_taken_counts_for_an_order_that_there_is(tmp_path: Path) -> None:
    """http-01 was expected and looked at; the CA offers something else."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.challenge_type = "tls-alpn-01"
            it.clientd.kept = {"www.example.com": False}
            _break(it, "resolve")
            assert (await _order(it))[0] == "done"

    asyncio.run(run())


def test_what_is_wrong_ends_the_job_of_an_order_that_there_is(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.kept = {"www.example.com": False}
            _break(it, "resolve")
            assert (await _order(it))[1] == "org.acmed1.Error.PreflightFailed"
            assert not {"Order", "Finalize"} & set(it.clientd.called)
            assert "OpenChallenge" not in it.privd.called

    asyncio.run(run())


@pytest.mark.parametrize(("method", "result"), [("none", "failed"), ("update", "done")])
def test_lasting_record_that_is_missing(tmp_path: Path, method: str, result: str) -> None:
    """Nothing is ordered where it cannot be set; the name may be in a zone of somebody else's, by an alias."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"], challenge="dns-persist-01")
            it.clientd.challenge_type = "dns-persist-01"
            it.dnsd.methods = {"example.com": method}
            it.dnsd.find_error("records", "www.example.com", "there is none")
            number = await it.caller.order("www.example.com")
            assert await it.caller.result(number) == result
            ((_, found),) = [
                (finding[0], finding[2])
                for finding in (await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {}))[0]
                if finding[0] == "records"
            ]
            if result == "failed":
                name, message = (await it.caller.properties())["LastError"]
                assert (name, found) == ("org.acmed1.Error.PreflightFailed", "error")
                assert "there is none" in message
                assert '"ca.example; accounturi=https://ca.example/account/1" is to be set' in message
                assert "Order" not in it.clientd.called
            else:
                assert found == "warning"
                assert len(it.dnsd.records) == 1

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


def test_nothing_is_ordered_where_nobody_is_there_who_sets_records(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "zones.toml").write_text('[zone."example.com"]\n')
            it.dnsd.errors["Check"] = VarlinkError("org.acmed.InternalError")
            result, name, message = await _order(it)
            assert (result, name) == ("failed", "org.acmed1.Error.PreflightFailed")
            assert "see 'journalctl -u acme-dnsd.service'" in message
            assert "Order" not in it.clientd.called

    asyncio.run(run())


def test_who_sets_records_is_not_missed_for_an_order_that_has_no_use_for_one(tmp_path: Path) -> None:
    """The name whose record would be set is valid at the CA."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "zones.toml").write_text('[zone."example.net"]\n')
            it.dnsd.errors["Check"] = VarlinkError("org.acmed.InternalError")
            names = ("www.example.com", "a.example.net", "b.example.net")
            assert await it.caller.result(await it.caller.order("", *names)) == "failed"
            message = (await it.caller.properties())["LastError"][1]
            assert message.startswith("a.example.net, b.example.net: DNS was not looked at: ")
            it.clientd.kept = {"www.example.com": False}
            it.clientd.offered = {"a.example.net": (), "b.example.net": ()}
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"

    asyncio.run(run())


def test_a_look_at_dns_that_takes_too_long_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone may give its server more time than the preflight has."""
    monkeypatch.setattr(preflight, "TIMEOUT", 0.1)

    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "zones.toml").write_text('[zone."example.com"]\n')
            it.clientd.challenge_type = "dns-01"
            it.dnsd.methods = {"example.com": "update"}
            it.dnsd.gate("Check")
            assert (await _order(it))[0] == "done"
            assert "Present" in it.dnsd.called

    asyncio.run(run())


def test_a_look_that_takes_long_ends_with_the_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.dnsd.gate("Check")
            it.privd.errors["NewRequest"] = VarlinkError("org.acmed.Priv.InvalidConfiguration", message="x")
            assert (await _order(it))[1] == "org.acmed1.Error.InvalidConfiguration"
            assert (await it.caller.properties(WWW))["Job"] == [0, "/"]

    asyncio.run(run())


def test_no_record_is_set_where_something_is_wrong(tmp_path: Path) -> None:
    """Name servers may take minutes until they have one, of which nothing will come."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "zones.toml").write_text('[zone."example.com"]\n')
            it.dnsd.methods = {"example.com": "update"}
            it.clientd.challenge_type = "dns-01"
            it.clientd.kept = {"www.example.com": False}
            _break(it, "caa")
            result, name, _ = await _order(it)
            assert (result, name) == ("failed", "org.acmed1.Error.PreflightFailed")
            assert "Present" not in it.dnsd.called

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
            (asked,) = it.clientd.given("Directory")
            assert asked["fresh"], "whoever checks wants to know how the CA is now"

    asyncio.run(run())


def test_check_looks_at_all_accounts(tmp_path: Path) -> None:
    """What is the same for all is told once; what would keep another account from helping out stops no order."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            for name, more in (("one", ""), ("two", '[account.two.limits]\norders = "1/1h"\n')):
                uri = f"https://{name}.example/account/1"
                it.privd.configure_account(name, f"https://{name}.example/directory", uri, more)
            it.privd.configure("other.example.com", ["other.example.com"], account="two")
            assert await it.caller.result(await it.caller.order("other.example.com")) == "done"
            it.privd.configure("www.example.com", ["www.example.com"], account="one", failover=["two"])
            it.dnsd.refused_accounts = {"https://two.example/account/1"}
            it.dnsd.find_error("resolve", "www.example.com", "is not of this host", severity="warning")
            (found,) = await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {})
            assert sorted(map(tuple, found)) == sorted(
                [
                    ("resolve", "www.example.com", "warning", "is not of this host"),
                    ("caa", "www.example.com", "ok", "account one: allowed"),
                    ("caa", "www.example.com", "warning", "account two: forbidden"),
                    ("clock", "one", "ok", "this host's clock and that of the CA differ by 0 s"),
                    ("clock", "two", "ok", "this host's clock and that of the CA differ by 0 s"),
                    ("limit", "one", "ok", "no known limit is in the way of a new order"),
                    (
                        "limit",
                        "two",
                        "warning",
                        next(text for check, who, _, text in found if (check, who) == ("limit", "two")),
                    ),
                    ("port", "http-01", "ok", "answers to http-01 can be made reachable"),
                ]
            )
            assert any(
                text.startswith("acmed keeps to a limit of account 'two': 1 orders in 1 h") for *_, text in found
            )

    asyncio.run(run())
