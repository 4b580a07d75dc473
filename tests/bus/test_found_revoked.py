# SPDX-License-Identifier: LGPL-2.1-or-later
"""A CA that has revoked a certificate without a word: who is asked when, and what comes of it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmed.manager import clock
from acmed.manager.clock import DAY
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate, der
from tests.bus.rig import EVERYBODY, Rig, rig

_NAME = "www.example.com"
_REVOKED = {"status": "revoked", "revokedAt": 1_700_000_000_000_000, "reason": 9}


def _state(it: Rig, name: str) -> Path:
    return it.places.state / "certificates" / f"{name}.json"


def _checked(it: Rig, name: str = _NAME) -> dict[str, Any]:
    """What acmed remembers of it."""
    return dict(json.loads(_state(it, name).read_text())["checked"])


def _installed(it: Rig, name: str = _NAME, age: int = 10, ask_at: int = 1, **keys: Any) -> str:
    """A certificate about which it is time to ask; its fingerprint."""
    pem = certificate([name], begun=timedelta(days=age))
    it.privd.configure(name, [name], **keys)
    it.privd.install(name, pem)
    fingerprint = hashlib.sha256(der(pem)).hexdigest()
    _state(it, name).parent.mkdir(parents=True, exist_ok=True)
    _state(it, name).write_text(json.dumps({"checked": {"fingerprint": fingerprint, "ask_at": ask_at}}))
    return fingerprint


async def _due(it: Rig) -> None:
    assert await it.caller.manager("RenewDue", "t", 0) == [[]]


async def _until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not there():
            await asyncio.sleep(0.01)


def _asked(it: Rig) -> list[str]:
    return sorted(given["certificate"] for given in it.clientd.given("RevocationStatus"))


@asynccontextmanager
async def _at_rest(tmp_path: Path) -> AsyncIterator[Rig]:
    """Before acmed is started; the CAs have no ARI, which is asked about elsewhere."""
    async with rig(tmp_path, trusted=None) as it:
        (it.places.etc / "acmed.toml.d" / "notify.toml").write_text('[notify]\nmail = "root@example.com"\n')
        yield it


def test_revoked_certificate_is_replaced_with_a_new_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            before = _installed(it)
            it.clientd.standing |= _REVOKED
            await it.start(EVERYBODY)
            await _due(it)
            revocation = (await it.caller.until("JobNew")).body[0]
            assert await it.caller.result(revocation) == "done"
            await _until(lambda: len([signal for signal in it.caller.signals if signal.member == "JobRemoved"]) == 2)
            assert [given["fingerprint"] for given in it.privd.given("Archive")] == [before]
            assert [given["new_key"] for given in it.privd.given("NewRequest")] == [True]
            # It is not revoked once more.
            assert not {"Revoke", "SendRevocation", "RevocationNonce"} & set(it.clientd.called)
            assert not {"PermitRevoke", "SignRevocation"} & set(it.privd.called)
            values = await it.caller.properties()
            assert (values["State"], values["Failures"], values["Endangered"]) == ("valid", 0, False)
            assert values["FingerprintSHA256"] != before
            (told,) = it.privd.given("Notify")
            assert (told["event"], told["certificate"]) == ("revoked", _NAME)
            assert "http://ca.example/ocsp" in told["message"]
            # The new one has an appointment of its own, and is not asked about before.
            await _due(it)
            assert _asked(it) == [_NAME]

    asyncio.run(run())
    said = capfd.readouterr().err
    words = f"The CA has revoked {_NAME} at 2023-11-14 22:13 UTC (privilegeWithdrawn), says http://ca.example/ocsp"
    assert said.count(words) == 1


@pytest.mark.parametrize("kind", ["csr", "key-file"])
def test_key_that_is_not_acmeds_is_not_used_again(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            keys: dict[str, Any] = {"csr": True} if kind == "csr" else {"key_file": "/etc/ssl/own.key"}
            _installed(it, **keys)
            it.clientd.standing |= _REVOKED
            await it.start(EVERYBODY)
            await _due(it)
            assert await it.caller.result((await it.caller.until("JobNew")).body[0]) == "done"
            await _due(it)
            assert "NewRequest" not in it.privd.called
            assert (await it.caller.properties())["State"] == "revoked"
            assert [told["event"] for told in it.privd.given("Notify")] == ["revoked"]

    asyncio.run(run())


def test_provided_key_that_was_replaced_is_ordered_with(tmp_path: Path) -> None:
    """By the timer, as nobody who put it there has to know that the CA has revoked the certificate."""

    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it, key_file="/etc/ssl/own.key")
            it.clientd.standing |= _REVOKED
            await it.start(EVERYBODY)
            await _due(it)
            assert await it.caller.result((await it.caller.until("JobNew")).body[0]) == "done"
            it.privd.replaced.add(_NAME)
            ((_, number, _),) = (await it.caller.manager("RenewDue", "t", 0))[0]
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_revocation_that_was_found_survives_sigkill(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            before = _installed(it)
            it.clientd.standing |= _REVOKED
            await it.start_process()

            async def found() -> int:
                await _due(it)
                return int((await it.caller.until("JobNew")).body[0])

            number = await it.kill_in(it.privd, "Archive", found())
            await it.start_process()
            assert await it.caller.result(number) == "done"
            await _until(lambda: "Install" in it.privd.called)
            assert {given["fingerprint"] for given in it.privd.given("Archive")} == {before}
            assert _asked(it) == [_NAME]

    asyncio.run(run())


def test_good_one_is_asked_about_a_day_later(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            await it.start(EVERYBODY)
            begun = clock.now()
            for _ in range(3):
                await _due(it)
                await _until(lambda: _asked(it) == [_NAME])
            assert begun + DAY <= _checked(it)["ask_at"] <= clock.now() + DAY + DAY // 12
            (given,) = it.clientd.given("RevocationStatus")
            assert given["account"] == "default"
            assert given["chain"] == (it.places.certificates / _NAME / "fullchain.pem").read_text()
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


@pytest.mark.parametrize(("days", "expected"), [(-1, 1), (3, 3), (400, 7), (10**9, 7)])
def test_not_before_there_may_be_news(tmp_path: Path, days: int, expected: int) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            await it.start(EVERYBODY)
            begun = clock.now()
            it.clientd.standing["askAgain"] = begun + days * DAY
            await _due(it)
            await _until(lambda: abs(_checked(it)["ask_at"] - begun - expected * DAY) < DAY // 4)

    asyncio.run(run())


@pytest.mark.parametrize("message", ["http://ca.example/crl: it is \x1b[2J of yesterday", "x" * 100_000])
def test_what_is_not_known_is_no_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str], message: str) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            it.clientd.standing |= {"status": "unknown", "source": "", "message": message}
            await it.start(EVERYBODY)
            for _ in range(3):
                await _due(it)
                await _until(lambda: _asked(it) == [_NAME])
            values = await it.caller.properties()
            assert (values["State"], values["Failures"], values["LastError"]) == ("valid", 0, ["", ""])
            assert it.privd.called == []

    asyncio.run(run())
    said = capfd.readouterr().err
    assert said.count("whether it was revoked is not known") == 1
    assert "\x1b" not in said and len(said) < 10_000


@pytest.mark.parametrize(
    "error",
    [
        VarlinkError("org.acmed.Client.NoSuchAccount", account="default"),
        VarlinkError("org.varlink.service.MethodNotImplemented", method=""),
        VarlinkError("org.acmed.InternalError"),
    ],
)
def test_daemon_that_cannot_ask_fails_nothing(tmp_path: Path, error: VarlinkError) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            it.clientd.errors["RevocationStatus"] = error
            await it.start(EVERYBODY)
            for _ in range(3):
                await _due(it)
                await _until(lambda: _asked(it) == [_NAME])
            assert (await it.caller.properties())["State"] == "valid"
            assert _checked(it)["ask_at"] >= clock.now() + DAY // 2

    asyncio.run(run())


def test_one_that_names_nobody_is_never_asked_about_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            it.clientd.standing["status"] = "none"
            await it.start(EVERYBODY)
            await _due(it)
            await _until(lambda: _checked(it)["ask_at"] == 0)
            await _due(it)
            assert _asked(it) == [_NAME]

    asyncio.run(run())


def test_who_is_not_asked_about(tmp_path: Path) -> None:
    """What is replaced anyhow, what has an appointment, and what was seen for the first time, which gets one."""

    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it, "asked.example.com")
            _installed(it, "due.example.com", 70)
            _installed(it, "expired.example.com", 100)
            _installed(it, "later.example.com", ask_at=clock.now() + DAY)
            _installed(it, "never.example.com", ask_at=0)
            for name, age in (("new.example.com", 0), ("old.example.com", 10)):
                _installed(it, name, age)
                _state(it, name).unlink()
            it.clientd.unreachable.add("default")
            await it.start(EVERYBODY)
            ((*jobs,),) = await it.caller.manager("RenewDue", "t", 0)
            for _, number, _ in jobs:
                assert await it.caller.result(number) == "failed"
            await _until(lambda: bool(_asked(it)))
            now = clock.now()
            assert now - DAY < _checked(it, "old.example.com")["ask_at"] < now + DAY
            assert now + DAY - DAY // 24 < _checked(it, "new.example.com")["ask_at"] < now + 2 * DAY
            await it.caller.manager("RenewDue", "t", 0)
            assert _asked(it) == ["asked.example.com"]

    asyncio.run(run())


def test_clock_that_was_ahead(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it, ask_at=clock.now() + 3650 * DAY)
            await it.start(EVERYBODY)
            await _due(it)
            assert _checked(it)["ask_at"] <= clock.now() + DAY
            assert _asked(it) == []

    asyncio.run(run())


def test_a_few_are_asked_about_at_a_time_and_nobody_waits(tmp_path: Path) -> None:
    """RenewDue has long been answered, and another run begins nothing anew."""

    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            names = sorted(f"n{number}.example.com" for number in range(6))
            for name in names:
                _installed(it, name)
            await it.start(EVERYBODY)
            gate = it.clientd.gate("RevocationStatus")
            await _due(it)
            await _until(lambda: len(_asked(it)) == 2)
            await _due(it)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(_asked(it)) == 2
            gate.set()
            await _until(lambda: _asked(it) == names)

    asyncio.run(run())


def test_answer_about_one_that_was_replaced_meanwhile(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            it.clientd.standing |= _REVOKED
            await it.start(EVERYBODY)
            gate = it.clientd.gate("RevocationStatus")
            await _due(it)
            await _until(lambda: bool(_asked(it)))
            it.privd.install(_NAME, certificate([_NAME]))
            gate.set()
            await it.caller.until("JobRemoved", await it.caller.renew(force=True))
            assert (await it.caller.properties())["State"] == "valid"
            assert "Archive" not in it.privd.called

    asyncio.run(run())


def test_job_that_works_on_it_is_not_disturbed(tmp_path: Path) -> None:
    """It is asked again when that has ended."""

    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            it.clientd.standing |= _REVOKED
            await it.start(EVERYBODY)
            asking, ordering = it.clientd.gate("RevocationStatus"), it.privd.gate("NewRequest")
            await _due(it)
            await _until(lambda: bool(_asked(it)))
            number = await it.caller.renew(force=True)
            asking.set()
            await _until(lambda: 0 < _checked(it)["ask_at"] <= clock.now())
            ordering.set()
            assert await it.caller.result(number) == "done"
            await _due(it)
            assert (_asked(it), it.privd.called.count("Archive")) == ([_NAME], 0)

    asyncio.run(run())


def test_acmed_stays_for_the_answer_and_ends_in_spite_of_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            await it.start_process()
            it.clientd.gate("RevocationStatus")
            await _due(it)
            await _until(lambda: bool(_asked(it)))
            assert await it.terminate() == 0

    asyncio.run(run())


def test_files_that_are_not_the_certificate_are_sent_to_nobody(tmp_path: Path) -> None:
    async def run() -> None:
        async with _at_rest(tmp_path) as it:
            _installed(it)
            _installed(it, "b.example.com")
            directory = it.places.certificates / _NAME
            (directory / "fullchain.pem").write_text(certificate([_NAME]))
            await it.start(EVERYBODY)
            await _due(it)
            await _until(lambda: bool(_asked(it)))
            await _due(it)
            assert _asked(it) == ["b.example.com"]

    asyncio.run(run())
