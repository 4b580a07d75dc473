# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong elsewhere: how it is told, remembered, and put right."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
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
