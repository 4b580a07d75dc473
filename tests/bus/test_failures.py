# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong elsewhere: how it is told, remembered, and put right."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.manager import clock
from acmed.manager.clock import HOUR, MINUTE
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import EVERYBODY, rig

_NGINX = Variant("as", ["nginx", "postfix"])
_ACME: dict[str, Any] = {
    "type": "rejectedIdentifier",
    "detail": "Two of them are refused",
    "status": 403,
    "retryAfter": None,
    "final": True,
    "subproblems": [
        {"identifier": {"type": "dns", "value": "a.example.com"}, "type": "caa", "detail": "CAA forbids"},
        {"identifier": None, "type": "malformed", "detail": "Nothing\x1b[31m"},
        {"identifier": {"type": "dns", "value": "b.example.com"}, "type": "dns", "detail": "Two of them are refused"},
    ],
}


def test_certificate_of_a_day_is_renewed_when_the_ca_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CA is away for 2.5 of the 12 hours that there are."""
    real, passed = clock.now, 0
    monkeypatch.setattr(clock, "now", lambda: real() + passed)

    async def run() -> None:
        nonlocal passed
        async with rig(tmp_path) as it:
            name, life = "www.example.com", timedelta(hours=24)
            it.privd.configure(name, [name])
            it.privd.install(name, certificate([name], begun=timedelta(hours=12, minutes=1), lifetime=life))
            end = (await it.caller.properties())["NotAfter"]
            results = []
            while "done" not in results:
                it.clientd.unreachable = {"default"} if passed < 150 * MINUTE else set()
                (jobs,) = await it.caller.manager("RenewDue", "t", 0)
                results += [await it.caller.result(number) for _, number, _ in jobs]
                passed += 15 * MINUTE
                assert clock.now() < end
            assert passed <= 6 * HOUR
            assert 3 <= results.count("failed") <= 5

    asyncio.run(run())


@pytest.mark.parametrize(
    ("daemon", "method", "error", "result", "name", "words"),
    [
        (
            "clientd",
            "Order",
            VarlinkError("org.acmed.Client.Acme", **_ACME),
            "failed",
            "org.acmed1.AcmeError.rejectedIdentifier",
            ["Two of them", "a.example.com: CAA forbids (caa)", "the order: Nothing\\x1b[31m (malformed)"],
        ),
        (
            "clientd",
            "Order",
            VarlinkError("org.acmed.Client.Acme", **_ACME | {"type": "not a.type"}),
            "failed",
            "org.acmed1.AcmeError.unknown",
            ["Two of them"],
        ),
        (
            "clientd",
            "Finalize",
            VarlinkError("org.acmed.Client.Acme", **_ACME | {"type": "rateLimited", "retryAfter": 7200}),
            "failed",
            "org.acmed1.AcmeError.rateLimited",
            ["not before 20", "UTC"],
        ),
        (
            "clientd",
            "Order",
            VarlinkError("org.acmed.Client.Unreachable", url="https://ca.example/", message="refused"),
            "failed",
            "org.acmed1.Error.Unreachable",
            ["https://ca.example/: refused"],
        ),
        (
            "clientd",
            "Finalize",
            VarlinkError("org.acmed.Client.TimedOut", step="challenge", message="still pending"),
            "timeout",
            "org.acmed1.Error.TimedOut",
            ["challenge", "still pending"],
        ),
        (
            "clientd",
            "Order",
            VarlinkError("org.acmed.Client.KeyUnavailable", account="default", reason="no credential"),
            "failed",
            "org.acmed1.Error.KeyUnavailable",
            ["'default'", "no credential"],
        ),
        (
            "clientd",
            "Order",
            VarlinkError("org.acmed.Client.NotPermitted", account="default", rule="a permit"),
            "failed",
            "org.acmed1.Error.PolicyViolation",
            ["a permit"],
        ),
        (
            "privd",
            "OpenChallenge",
            VarlinkError("org.acmed.Priv.ChallengeUnavailable", message="Port 80 is nginx's"),
            "failed",
            "org.acmed1.Error.ChallengeUnavailable",
            ["Port 80 is nginx's"],
        ),
        (
            "privd",
            "Install",
            VarlinkError("org.acmed.Priv.InvalidChain", certificate="x", message="another key"),
            "failed",
            "org.acmed1.Error.InstallFailed",
            ["another key", "nothing was changed"],
        ),
        (
            "privd",
            "Install",
            VarlinkError("org.acmed.Priv.InstallFailed", certificate="x", message="No space left"),
            "failed",
            "org.acmed1.Error.InstallFailed",
            ["No space left"],
        ),
        # An error with other parameters than its interface has, and one that nobody declared.
        (
            "clientd",
            "Order",
            VarlinkError("org.acmed.Client.Acme", type=7),
            "failed",
            "org.acmed1.Error.Unavailable",
            ["acme-clientd"],
        ),
        (
            "privd",
            "NewRequest",
            VarlinkError("org.acmed.Priv.Surprise"),
            "failed",
            "org.acmed1.Error.Unavailable",
            ["acme-privd"],
        ),
    ],
)
def test_error_of_another_daemon(
    tmp_path: Path, daemon: str, method: str, error: VarlinkError, result: str, name: str, words: list[str]
) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            peer = it.privd if daemon == "privd" else it.clientd
            peer.errors[method] = error
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == result
            told, message = (await it.caller.properties())["LastError"]
            assert told == name
            for word in words:
                assert word in message

    asyncio.run(run())


def test_configuration_that_privd_refuses_is_told_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.errors["Configure"] = VarlinkError(
                "org.acmed.Priv.InvalidConfiguration", message="/etc is read-only"
            )
            with pytest.raises(DBusError) as refused:
                await it.caller.order("", "www.example.com")
            assert refused.value.name == "org.acmed1.Error.InvalidConfiguration"
            assert "/etc is read-only" in refused.value.message
            assert await it.caller.manager("ListJobs") == [[]]
            it.privd.errors.clear()
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"

    asyncio.run(run())


@pytest.mark.parametrize(("error", "forgotten"), [("InvalidChain", True), ("InstallFailed", False)])
def test_order_whose_chain_was_refused_is_forgotten(tmp_path: Path, error: str, forgotten: bool) -> None:
    """Resumed, it would give the same chain at each attempt; one that a full disk kept out is still to be had."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.errors["Install"] = VarlinkError(
                f"org.acmed.Priv.{error}", certificate="www.example.com", message="it expired"
            )
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "failed"
            assert ("Drop" in it.clientd.called) == forgotten

    asyncio.run(run())


def test_job_ends_although_its_record_cannot_be_removed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            gate = it.privd.gate("Deliver")
            number = await it.caller.order("", "www.example.com", services=_NGINX)
            await it.privd.reached["Deliver"].wait()
            (record,) = (it.places.state / "jobs").glob("*.json")
            record.unlink()
            record.mkdir()
            gate.set()
            assert await it.caller.result(number) == "done"
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


def test_delivery_that_fails_is_remembered_and_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.undeliverable["nginx"] = "nginx.service: the reload failed"
            number = await it.caller.order("", "www.example.com", services=_NGINX)
            assert await it.caller.result(number) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["Failures"]) == ("valid", 0)
            assert values["Undelivered"] == [["nginx", "nginx.service: the reload failed"]]
            assert values["LastError"][0] == "org.acmed1.Error.InstallFailed"
            assert "nginx.service: the reload failed" in values["LastError"][1]

            for expected in ("failed", "done"):
                (job,) = (await it.caller.manager("RenewDue", "t", 0))[0]
                assert await it.caller.result(job[1]) == expected
                it.privd.undeliverable.clear()
            # Only that was done again, and only for the service that had not got it.
            assert it.privd.called.count("NewRequest") == 1
            delivered = [given["services"] for method, given in it.privd.calls if method == "Deliver"]
            assert delivered == [["nginx"], ["postfix"], ["nginx"], ["nginx"]]
            values = await it.caller.properties()
            assert (values["Undelivered"], values["LastError"]) == ([], ["", ""])
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]

    asyncio.run(run())


def test_service_that_is_added_later_gets_the_certificate(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.caller.result(await it.caller.order("", "www.example.com"))
            it.privd.configure("www.example.com", ["www.example.com"], services=["postfix"])
            number = await it.caller.renew()
            assert await it.caller.result(number) == "done"
            assert [given["services"] for method, given in it.privd.calls if method == "Deliver"] == [["postfix"]]

    asyncio.run(run())


def test_renewal_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"], begun=timedelta(days=70)))
            before = (await it.caller.properties())["FingerprintSHA256"]
            it.clientd.errors["Order"] = VarlinkError("org.acmed.Client.Acme", **_ACME)
            (job,) = (await it.caller.manager("RenewDue", "t", 0))[0]
            assert await it.caller.result(job[1]) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["FingerprintSHA256"]) == ("failing", before)
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]

    asyncio.run(run())


@pytest.mark.parametrize("daemon", ["privd", "clientd"])
def test_daemon_that_is_away_for_a_moment(tmp_path: Path, daemon: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            listening = it.priv_listening if daemon == "privd" else it.client_listening
            listening.close()
            number = await it.caller.order("www.example.com")
            await it.caller.manager("ListJobs")
            listening.reopen()
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_broken_state_is_set_aside(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            for kind, content in (("certificates", '{"failures": "many"}'), ("jobs", "{"), ("jobs", "[]")):
                directory = it.places.state / kind
                directory.mkdir(parents=True, exist_ok=True)
                (directory / f"{'www.example.com' if kind == 'certificates' else len(content)}.json").write_text(
                    content
                )
            (it.places.state / "last-job").write_text("many")
            await it.start(EVERYBODY)
            assert (await it.caller.properties())["State"] == "valid"
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"
            assert len(list(it.places.state.glob("*/*.broken"))) == 3

    asyncio.run(run())


@pytest.mark.parametrize("new_key", [False, True])
def test_renewal_before_its_time_that_fails_is_no_failure_of_the_certificate(
    tmp_path: Path, new_key: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing would try it again: it would be failing until it is due."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            (it.places.etc / "acmed.toml").open("a").write('[notify]\nmail = "root"\n')
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"
            before = await it.caller.properties()
            it.clientd.errors["Order"] = VarlinkError(
                "org.acmed.Client.Unreachable", url="https://ca.example/", message="refused"
            )
            number = await it.caller.renew(force=True, new_key=new_key)
            assert await it.caller.result(number) == "failed"
            assert it.caller.error(number) == ["org.acmed1.Error.Unreachable", "https://ca.example/: refused"]
            assert await it.caller.properties() == before
            assert before["State"] == "valid"
            assert not [signal for signal in it.caller.signals if signal.member == "CertificateFailed"]
            assert "Notify" not in it.privd.called

    asyncio.run(run())
    assert "renew of www.example.com: org.acmed1.Error.Unreachable: https://ca.ex" in capsys.readouterr().err


def test_renewal_that_is_wanted_and_fails_is_a_failure_however_it_was_begun(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"], begun=timedelta(days=70)))
            it.clientd.unreachable.add("default")
            assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["Failures"]) == ("failing", 1)

    asyncio.run(run())


def test_service_of_which_nothing_is_installed_is_told_of_and_owed_nothing(tmp_path: Path) -> None:
    """It may be installed later, and then reads what is there."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.remarks = {"nginx": "no unit of nginx is installed", "postfix": "nor of postfix"}
            number = await it.caller.order("", "www.example.com", services=_NGINX)
            assert await it.caller.result(number) == "done"
            assert it.caller.last(number, "Detail") == "no unit of nginx is installed; nor of postfix"
            values = await it.caller.properties()
            assert (values["State"], values["Undelivered"], values["LastError"]) == ("valid", [], ["", ""])

    asyncio.run(run())
