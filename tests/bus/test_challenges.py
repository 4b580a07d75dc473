# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is presented for each type of challenge, and that it is put away whatever happens."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from acmed.manager.challenges.dns import validation
from acmed.varlink import VarlinkError
from tests.bus.peers import THUMBPRINT, TOKEN
from tests.bus.rig import JOB, ROOT, Rig, rig

_TYPES = {
    "a.example.com": "http-01",
    "b.example.com": "tls-alpn-01",
    "c.example.net": "dns-01",
    "d.example.org": "dns-account-01",
    "192.0.2.7": "tls-alpn-01",
}
_MIXED = "mixed"


def _configure(it: Rig, types: Mapping[str, str] = _TYPES) -> None:
    """A certificate each of whose names is validated as types says."""
    lines = [f"names = {json.dumps(list(types))}", "[challenges]"]
    lines += [f'"{name}" = "{kind}"' for name, kind in types.items()]
    directory = it.places.etc / "certificates.d"
    directory.mkdir(exist_ok=True)
    (directory / f"{_MIXED}.toml").write_text("\n".join(lines) + "\n")
    it.clientd.offered = dict.fromkeys(types, ("http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01"))
    it.dnsd.methods = {"example.net": "update", "example.org": "hook"}


def _value(number: int) -> str:
    """Of the TXT record for that identifier."""
    return validation(f"{TOKEN}{number}.{THUMBPRINT}")


def _files(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def _assert_nothing_is_left(it: Rig) -> None:
    assert [*it.places.tokens.iterdir(), *it.places.answers.iterdir()] == []
    assert it.dnsd.records == it.privd.records == set()
    opened = [call for call in it.privd.called if call in ("OpenChallenge", "CloseChallenge")]
    assert not opened or opened[-1] == "CloseChallenge"
    published = {given["token"] for method, given in it.privd.calls if method == "PublishToken"}
    assert published <= {given["token"] for method, given in it.privd.calls if method == "WithdrawToken"}


def _told(it: Rig, number: int, member: str) -> list[Any]:
    """The values that a job's property has had."""
    return [
        signal.body[1][member].value
        for signal in it.caller.signals
        if (signal.path, signal.member) == (f"{ROOT}/job/_{number}", "PropertiesChanged") and member in signal.body[1]
    ]


async def _last_error(it: Rig) -> tuple[str, str]:
    name, message = (await it.caller.properties(f"{ROOT}/certificate/{_MIXED}"))["LastError"]
    return name, message


def test_each_name_by_its_own_challenge(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            seen: dict[str, Any] = {}

            def look() -> None:
                seen["tokens"], seen["answers"] = _files(it.places.tokens), _files(it.places.answers)
                seen["dns"], seen["hook"] = set(it.dnsd.records), set(it.privd.records)

            it.clientd.at_finalize = look
            number = await it.caller.order(_MIXED)
            assert await it.caller.result(number) == "done"
            assert seen == {
                "tokens": {f"{TOKEN}0": f"{TOKEN}0.{THUMBPRINT}"},
                "answers": {
                    "b.example.com": f"b.example.com {TOKEN}1.{THUMBPRINT}\n",
                    "7.2.0.192.in-addr.arpa": f"192.0.2.7 {TOKEN}4.{THUMBPRINT}\n",
                },
                "dns": {("c.example.net", _value(2))},
                "hook": {("_acme-challenge.d.example.org", _value(3))},
            }
            _assert_nothing_is_left(it)
            opened = [given["type"] for method, given in it.privd.calls if method == "OpenChallenge"]
            assert sorted(opened) == ["http-01", "tls-alpn-01"]
            assert it.privd.called.count("CloseChallenge") == 1
            accounts = {record["account"] for record in _records(it, "Wait")}
            assert accounts == {"https://ca.example/account/1"}
            statuses = _told(it, number, "Challenges")[0]
            assert statuses == [[name, kind, "pending"] for name, kind in _TYPES.items()]

    asyncio.run(run())


def _records(it: Rig, method: str) -> list[dict[str, str]]:
    return [record for called, given in it.dnsd.calls if called == method for record in given["records"]]


def test_the_ca_hears_of_it_when_every_server_has_the_record(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, {"c.example.net": "dns-01"})
            it.dnsd.lagging = ["ns1.example.net lags", "ns2.example.net lags"]
            gate = it.dnsd.gate("Wait")
            number = await it.caller.order(_MIXED)
            await it.dnsd.reached["Wait"].wait()
            await it.caller.until("PropertiesChanged", JOB)
            values = await it.caller.properties(f"{ROOT}/job/_{number}", JOB)
            assert (values["Step"], values["Detail"]) == ("challenge", "ns2.example.net lags")
            assert 0 < values["Deadline"] - values["StartTimestamp"] < 310_000_000
            assert "Finalize" not in it.clientd.called
            gate.set()
            assert await it.caller.result(number) == "done"
            assert "ns1.example.net lags" in _told(it, number, "Detail")
            # The next steps have their own, or none.
            assert (_told(it, number, "Detail")[-1], _told(it, number, "Deadline")[-1]) == ("", 0)
            (waited,) = [given for method, given in it.dnsd.calls if method == "Wait"]
            assert waited["deadline"] == 300

    asyncio.run(run())


def test_no_port_is_open_while_name_servers_are_waited_for(tmp_path: Path) -> None:
    """That may take longer than a lease on it."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            gate = it.dnsd.gate("Wait")
            number = await it.caller.order(_MIXED)
            await it.dnsd.reached["Wait"].wait()
            await it.caller.until("PropertiesChanged", JOB)
            assert "OpenChallenge" not in it.privd.called
            gate.set()
            assert await it.caller.result(number) == "done"
            assert it.privd.called.count("OpenChallenge") == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("daemon", "method", "error"),
    [
        ("privd", "OpenChallenge", VarlinkError("org.acmed.Priv.ChallengeUnavailable", message="port 80 is nginx's")),
        ("privd", "PublishRecord", VarlinkError("org.acmed.Priv.HookFailed", message="exit status 1")),
        ("dnsd", "Find", VarlinkError("org.acmed.DNS.LookupFailed", name="c.example.net", message="SERVFAIL")),
        ("dnsd", "Present", VarlinkError("org.acmed.DNS.UpdateFailed", zone="example.net", message="REFUSED")),
        ("dnsd", "Wait", VarlinkError("org.acmed.DNS.NotPropagated", name="c.example.net", message="ns2 lags")),
        ("clientd", "Finalize", VarlinkError("org.acmed.Client.TimedOut", step="challenge", message="pending")),
        ("clientd", "Download", VarlinkError("org.acmed.Client.Unreachable", url="https://ca/", message="gone")),
    ],
)
def test_nothing_stays_after_a_failure(tmp_path: Path, daemon: str, method: str, error: VarlinkError) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            getattr(it, daemon).errors[method] = error
            assert await it.caller.result(await it.caller.order(_MIXED)) in ("failed", "timeout")
            _, message = await _last_error(it)
            assert str(list(error.parameters.values())[-1]) in message
            _assert_nothing_is_left(it)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("daemon", "method"),
    [("dnsd", "Present"), ("privd", "PublishRecord"), ("dnsd", "Wait"), ("clientd", "Finalize"), ("dnsd", "Remove")],
)
def test_nothing_stays_after_sigkill(tmp_path: Path, daemon: str, method: str) -> None:
    """Although the order cannot go on after it."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            await it.start_process()
            peer = getattr(it, daemon)
            number = await it.kill_in(peer, method, it.caller.order(_MIXED))
            await asyncio.sleep(0.05)  # what was begun is done, as it would be by the daemon
            it.privd.errors["NewRequest"] = VarlinkError("org.acmed.Priv.InstallFailed", certificate="x", message="no")
            await it.start_process()
            assert await it.caller.result(number) in ("failed", "done")
            _assert_nothing_is_left(it)

    asyncio.run(run())


@pytest.mark.parametrize("method", ["Present", "Wait"])
def test_nothing_stays_after_a_job_was_cancelled(tmp_path: Path, method: str) -> None:
    """What acme-dnsd is about to do is waited for: it would be done after it was undone."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            gate = it.dnsd.gate(method)
            number = await it.caller.order(_MIXED)
            await it.dnsd.reached[method].wait()
            await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
            if method == "Present":
                await it.caller.manager("ListJobs")
                assert "Remove" not in it.dnsd.called
            gate.set()
            assert await it.caller.result(number) == "canceled"
            _assert_nothing_is_left(it)

    asyncio.run(run())


def test_what_cannot_be_put_away_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.dnsd.errors["Remove"] = VarlinkError("org.acmed.DNS.UpdateFailed", zone="example.net", message="is away")
            assert await it.caller.result(await it.caller.order(_MIXED)) == "done"
            it.dnsd.records.clear()
            _assert_nothing_is_left(it)

    asyncio.run(run())
    told = capfd.readouterr().err
    assert f'"{_value(2)}", is left at _acme-challenge.c.example.net: is away' in told


def test_webroots_of_single_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml.d" / "http01.toml").write_text(
                '[http01.webroots]\n"b.example.com" = "/srv/b"\n'
            )
            _configure(it, {"a.example.com": "http-01", "b.example.com": "http-01"})
            assert await it.caller.result(await it.caller.order(_MIXED)) == "done"
            published = [given for method, given in it.privd.calls if method == "PublishToken"]
            assert [(given["identifier"], given["token"]) for given in published] == [("b.example.com", f"{TOKEN}1")]
            assert it.privd.called.count("OpenChallenge") == 1
            _assert_nothing_is_left(it)

            it.privd.calls.clear()
            _configure(it, {"b.example.com": "http-01"})
            assert await it.caller.result(await it.caller.renew(f"{ROOT}/certificate/{_MIXED}")) == "done"
            assert {"OpenChallenge", "ProbeChallenge"} & set(it.privd.called) == set()
            assert "WithdrawToken" in it.privd.called

    asyncio.run(run())


def test_zone_that_nobody_can_change(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, {"c.example.net": "dns-01", "e.example.info": "dns-01"})
            assert await it.caller.result(await it.caller.order(_MIXED)) == "failed"
            name, message = await _last_error(it)
            assert name == "org.acmed1.Error.ChallengeUnavailable"
            assert f'_acme-challenge.e.example.info TXT "{_value(1)}"' in message
            assert "[zone.example.info]" in message
            assert "Present" not in it.dnsd.called

    asyncio.run(run())


_PERSIST = {"c.example.net": "dns-persist-01", "*.c.example.net": "dns-persist-01"}


def test_lasting_record_is_published_once_and_stays(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, _PERSIST)
            for name in _PERSIST:
                it.dnsd.find_error("records", name, "there is none")
            assert await it.caller.result(await it.caller.order(_MIXED)) == "done"
            value = "ca.example; accounturi=https://ca.example/account/1; policy=wildcard"
            assert it.dnsd.records == {("c.example.net", value)}
            assert "Remove" not in it.dnsd.called
            assert "Wait" in it.dnsd.called

            it.dnsd.calls.clear()
            it.dnsd.findings.clear()
            renewal = await it.caller.renew(f"{ROOT}/certificate/{_MIXED}", force=True)
            assert await it.caller.result(renewal) == "done"
            assert it.dnsd.called == ["Check", "Check"]

    asyncio.run(run())


def test_lasting_record_that_has_to_be_set_by_hand(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, {"e.example.info": "dns-persist-01"})
            it.dnsd.find_error("records", "e.example.info", "there is none")
            assert await it.caller.result(await it.caller.order(_MIXED)) == "failed"
            _, message = await _last_error(it)
            assert 'TXT "ca.example; accounturi=https://ca.example/account/1"' in message
            assert "by hand" in message

    asyncio.run(run())
