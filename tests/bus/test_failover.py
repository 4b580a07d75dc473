# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several CAs for one certificate, and the limits that acmed keeps to."""

import asyncio
from pathlib import Path

import pytest

from acmed.bus import Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import EVERYBODY, JOB, ROOT, Rig, rig

_UNREACHABLE = VarlinkError("org.acmed.Client.Unreachable", url="https://one.example/", message="connection reset")


def _configure(it: Rig, accounts: tuple[str, ...] = ("one", "two"), limits: str = "") -> None:
    (it.places.etc / "certificates.d").mkdir(exist_ok=True)
    first, *others = accounts
    failover = ", ".join(f'"{name}"' for name in others)
    (it.places.etc / "certificates.d" / "www.example.com.toml").write_text(
        f'names = ["www.example.com"]\naccount = "{first}"\nfailover = [{failover}]\n'
    )
    for name in accounts:
        it.privd.configure_account(name, f"https://{name}.example/directory", f"https://{name}.example/account/1")
        path = it.places.etc / "acmed.toml.d" / f"account-{name}.toml"
        path.write_text(path.read_text() + (f"[account.{name}.limits]\n{limits}\n" if limits else ""))


def _tried(it: Rig, method: str = "Order") -> list[str]:
    return [given["account"] for called, given in it.clientd.calls if called == method]


def test_the_next_ca_and_the_first_one_again_later(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.unreachable = {"one"}
            number = await it.caller.order("www.example.com")
            assert await it.caller.result(number) == "done"
            assert _tried(it) == ["one", "two"]
            assert [given["account"] for method, given in it.privd.calls if method == "NewRequest"] == ["one", "two"]
            details = [
                signal.body[1]["Detail"].value
                for signal in it.caller.signals
                if signal.path == f"{ROOT}/job/_{number}" and "Detail" in (signal.body[1:] or [{}])[0]
            ]
            assert any(detail.startswith("one: https://one.example/directory: refused; ") for detail in details)

            it.clientd.calls.clear()
            it.clientd.unreachable = set()
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"
            assert _tried(it) == ["one"]

    asyncio.run(run())
    assert "refused. Trying account two" in capfd.readouterr().err


def test_all_of_them_fail(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, ("one", "two", "three"))
            it.clientd.unreachable = {"one", "two", "three"}
            assert await it.caller.result(await it.caller.order("www.example.com")) == "failed"
            name, message = (await it.caller.properties())["LastError"]
            assert name == "org.acmed1.Error.Unreachable"
            for account in ("one", "two", "three"):
                assert f"{account}: https://{account}.example/directory: refused" in message

    asyncio.run(run())


def test_no_other_ca_for_what_is_not_the_cas(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.privd.errors["OpenChallenge"] = VarlinkError("org.acmed.Priv.ChallengeUnavailable", message="no port")
            assert await it.caller.result(await it.caller.order("www.example.com")) == "failed"
            assert _tried(it) == ["one"]

    asyncio.run(run())


@pytest.mark.parametrize("killed", [False, True])
def test_no_second_certificate_while_an_order_is_unfinished(tmp_path: Path, killed: bool) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it)
            await it.start_process()
            it.clientd.unreachable = {"one"}
            it.clientd.errors["Download"] = _UNREACHABLE  # by now it may be issued
            if killed:
                it.clientd.gate("Download")
            number = await it.caller.order("www.example.com")
            if killed:
                await it.clientd.reached["Download"].wait()
                while (await it.caller.properties(f"{ROOT}/job/_{number}", JOB))["Step"] != "finalize":
                    await asyncio.sleep(0.01)
                await it.kill()
            else:
                assert await it.caller.result(number) == "failed"
                await it.kill()
            it.clientd.gates.clear()
            it.clientd.errors.clear()
            it.clientd.calls.clear()
            it.clientd.unreachable = set()
            await it.start(EVERYBODY)
            if not killed:
                number = await it.caller.renew(force=True)
            assert await it.caller.result(number) == "done"
            assert _tried(it) == ["two"]
            # That is over: the first is the first again.
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"
            assert _tried(it) == ["two", "one"]

    asyncio.run(run())


def test_no_other_ca_where_this_one_may_have_issued(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.errors["Download"] = _UNREACHABLE
            assert await it.caller.result(await it.caller.order("www.example.com")) == "failed"
            assert _tried(it) == ["one"]

    asyncio.run(run())


def test_an_order_that_is_lost_at_finalize_is_no_reason_to_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.clientd.errors["Download"] = VarlinkError(
                "org.acmed.Client.Acme",
                type="serverInternal", detail="sorry", status=500, retryAfter=None, final=True, subproblems=[],
            )  # fmt: skip
            assert await it.caller.result(await it.caller.order("www.example.com")) == "failed"
            assert _tried(it) == ["one", "two"]

    asyncio.run(run())


def test_a_chain_that_is_refused_is_no_reason_to_wait(tmp_path: Path) -> None:
    """That CA has issued, and is not waited for when it is away at the next attempt."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it)
            it.privd.errors["Install"] = VarlinkError(
                "org.acmed.Priv.InvalidChain", certificate="www.example.com", message="it is for another key"
            )
            assert await it.caller.result(await it.caller.order("www.example.com")) == "failed"
            it.privd.errors.clear()
            it.clientd.unreachable = {"one"}
            it.clientd.calls.clear()
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"
            assert _tried(it) == ["one", "two"]

    asyncio.run(run())


def test_own_limit(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, limits='orders = "1/1h"')
            assert await it.caller.result(await it.caller.order("www.example.com")) == "done"
            assert await it.caller.result(await it.caller.renew(force=True)) == "done"
            assert _tried(it) == ["one", "two"]
            number = await it.caller.renew(force=True)
            assert await it.caller.result(number) == "failed"
            assert _tried(it) == ["one", "two"]  # neither CA has heard of it
            name, message = it.caller.error(number)
            assert name == "org.acmed1.Error.RateLimited"
            assert "not before" in message

    asyncio.run(run())


def test_failed_validations_are_counted(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, ("one",), limits='failures = "2/1h"')
            it.clientd.errors["Finalize"] = VarlinkError(
                "org.acmed.Client.Acme",
                type="unauthorized", detail="www.example.com: 404", status=403, retryAfter=None, final=True,
                subproblems=[
                    {"identifier": {"type": "dns", "value": name}, "type": "unauthorized", "detail": "404"}
                    for name in ("www.example.com", "other.example.com")
                ],
            )  # fmt: skip
            for expected in ("unauthorized", "unauthorized", "RateLimited"):
                assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
                assert (await it.caller.properties())["LastError"][0].endswith(f".{expected}")
            assert len(_tried(it)) == 2
            # What the CA says of names that were not ordered counts for nothing.
            it.clientd.errors.clear()
            number = await it.caller.order("", "other.example.com", account=Variant("s", "one"))
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_what_fails_after_the_validation_is_no_failed_validation(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, ("one",), limits='failures = "1/1h"')
            it.clientd.errors["Download"] = VarlinkError(
                "org.acmed.Client.Acme",
                type="caa", detail="CAA was looked at again", status=403, retryAfter=None, final=True,
                subproblems=[{"identifier": {"type": "dns", "value": "www.example.com"}, "type": "caa", "detail": "x"}],
            )  # fmt: skip
            for _ in range(2):
                assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            assert len(_tried(it)) == 2

    asyncio.run(run())
